package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/telemetry"
)

// nowhere is a log that keeps nothing.
type nowhere struct{}

func (nowhere) Append(_ []telemetry.Message, done func(error)) { done(nil) }

func openQueries(t testing.TB, registry hub.Registry) *hub.Hub {
	t.Helper()
	h, err := hub.New(hub.Options{Registry: registry, Log: nowhere{}, Policies: hub.NewPolicies()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func addDevices(t testing.TB, h *hub.Hub, n int) {
	t.Helper()
	for i := range n {
		d := &hub.Device{DeviceID: fmt.Sprintf("d%03d", i)}
		if i%2 == 1 {
			d.Status = hub.StatusDisabled
		}
		if _, err := h.PutDevice(context.Background(), d, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// pages runs a query to its end and returns the rows of each page.
func pages(t testing.TB, h *hub.Hub, query string, max int) (list [][]string) {
	t.Helper()
	next := ""
	for {
		page, err := h.Query(context.Background(), query, max, next)
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, row := range page.Items {
			rows = append(rows, string(row))
		}
		list = append(list, rows)
		if next = page.Next; next == "" {
			return list
		}
		if len(list) > 1000 {
			t.Fatal("the pages do not end")
		}
	}
}

// TestQueryPages: pages of any size hold the same rows, once each, in order.
func TestQueryPages(t *testing.T) {
	h := openQueries(t, mem.New())
	addDevices(t, h, 25)
	for _, query := range []string{
		"SELECT deviceId FROM devices",
		"SELECT deviceId FROM devices WHERE status = 'enabled'",
		"SELECT TOP 7 deviceId FROM devices WHERE status = 'disabled'",
		"SELECT TOP 20 deviceId FROM devices",
		"SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId",
		"SELECT TOP 9 deviceId FROM devices GROUP BY deviceId",
		"SELECT deviceId FROM devices WHERE deviceId = 'nobody'",
		"SELECT deviceId FROM devices.modules",
	} {
		want := slices.Concat(pages(t, h, query, hub.MaxPage)...)
		for _, max := range []int{1, 2, 5, 7, 20, 25} {
			got := pages(t, h, query, max)
			if !slices.Equal(slices.Concat(got...), want) {
				t.Errorf("%s, %d to a page: %v, want %v", query, max, got, want)
			}
			for _, page := range got {
				if len(page) > max {
					t.Errorf("%s: a page of %d rows, at most %d are allowed", query, len(page), max)
				}
			}
		}
	}
	if n := len(pages(t, h, "SELECT TOP 20 deviceId FROM devices", 20)); n != 1 {
		t.Errorf("TOP 20 with 20 to a page has %d pages", n)
	}
}

func TestQueryPageSize(t *testing.T) {
	h := openQueries(t, mem.New())
	addDevices(t, h, hub.MaxPage+1)
	for _, test := range []struct{ max, want int }{{0, hub.DefaultPage}, {-1, hub.DefaultPage}, {1 << 30, hub.MaxPage}} {
		page, err := h.Query(context.Background(), "SELECT deviceId FROM devices", test.max, "")
		if err != nil || len(page.Items) != test.want || page.Next == "" {
			t.Errorf("%d to a page: %d rows, next %q, %v; want %d", test.max, len(page.Items), page.Next, err, test.want)
		}
	}
}

// TestQueryContinuation: a continuation goes on in another hub over the same
// registry, past the device it names, and with no other query.
func TestQueryContinuation(t *testing.T) {
	ctx := context.Background()
	registry := mem.New()
	h := openQueries(t, registry)
	addDevices(t, h, 6)
	const query = "SELECT deviceId FROM devices"
	first, err := h.Query(ctx, query, 2, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = openQueries(t, registry)
	if err := h.DeleteDevice(ctx, hub.ID{Device: "d001"}, "*"); err != nil {
		t.Fatal(err)
	}
	second, err := h.Query(ctx, "select deviceId from devices", 2, first.Next)
	if err != nil || string(second.Items[0]) != `{"deviceId":"d002"}` {
		t.Errorf("after a restart: %v, %v", second, err)
	}
	for _, bad := range []struct{ query, next string }{
		{"SELECT deviceId FROM devices WHERE status = 'enabled'", first.Next},
		{query, "nonsense"}, {query, first.Next + "A"}, {query, "e30"}, {query, "bnVsbA"},
	} {
		if page, err := h.Query(ctx, bad.query, 2, bad.next); !errors.Is(err, hub.ErrArgument) {
			t.Errorf("%s from %q: %v, %v", bad.query, bad.next, page, err)
		}
	}
}

// TestQueryDocument: a query sees the twin that services see.
func TestQueryDocument(t *testing.T) {
	ctx := context.Background()
	h := openQueries(t, mem.New())
	addDevices(t, h, 2)
	if _, err := h.PutDevice(ctx, &hub.Device{DeviceID: "d000", ModuleID: "m1"}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PatchTwin(ctx, hub.ID{Device: "d000"}, []byte(`{"tags":{"floor":2},"properties":{"desired":{"a":{"b":[1,2.50]}}}}`), "*"); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"SELECT deviceId FROM devices WHERE tags.floor = 2 AND properties.desired.a.b[1] = 2.5":                    `{"deviceId":"d000"}`,
		"SELECT properties.desired.a FROM devices WHERE properties.desired.$version = 2":                           `{"a":{"b":[1,2.50]}}`,
		"SELECT deviceId FROM devices WHERE is_defined(properties.desired.$metadata.a.$lastUpdated)":               `{"deviceId":"d000"}`,
		"SELECT COUNT() AS n FROM devices WHERE connectionState = 'Disconnected' AND LastActivityTime < '2000'":    `{"n":2}`,
		"SELECT deviceId, moduleId FROM devices.modules WHERE version >= 1":                                        `{"deviceId":"d000","moduleId":"m1"}`,
		"SELECT SUM(properties.desired.$version) AS s, status FROM devices GROUP BY status":                        `{"s":1,"status":"disabled"} {"s":2,"status":"enabled"}`,
		"SELECT authenticationType FROM devices WHERE status = 'enabled' AND capabilities.iotEdge NIN [true]":      `{"authenticationType":"sas"}`,
		"SELECT deviceId FROM devices WHERE x509Thumbprint.PrimaryThumbprint = null AND statusUpdateTime = 'what'": ``,
	} {
		if got := strings.Join(slices.Concat(pages(t, h, query, 0)...), " "); got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
	page, err := h.Query(ctx, "SELECT * FROM devices WHERE tags.floor = 2", 0, "")
	if err != nil || page.Kind != "Twin" {
		t.Fatalf("%v, %v", page, err)
	}
	twin, err := h.TwinOf(ctx, hub.ID{Device: "d000"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(twin)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 1 || string(page.Items[0]) != string(want) {
		t.Errorf("SELECT *: %s, want %s", page.Items, want)
	}
}

func TestQueryWrong(t *testing.T) {
	h := openQueries(t, mem.New())
	_, err := h.Query(context.Background(), "SELECT * FORM devices", 0, "")
	want := "ArgumentInvalid: query: column 10: expected ',' or FROM, found 'FORM': did you mean FROM?"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	addDevices(t, h, 1)
	cancel()
	if _, err := h.Query(ctx, "SELECT * FROM devices", 0, ""); !errors.Is(err, hub.ErrUnavailable) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// BenchmarkQuery scans 1,000 twins.
func BenchmarkQuery(b *testing.B) {
	h := openQueries(b, mem.New())
	addDevices(b, h, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Query(context.Background(), "SELECT COUNT() AS n FROM devices WHERE status = 'enabled'", 0, ""); err != nil {
			b.Fatal(err)
		}
	}
}
