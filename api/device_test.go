package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/hub"
	hubmem "github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

// accept is a log that takes everything and keeps nothing.
type accept struct{}

func (accept) Append(_ []telemetry.Message, done func(error)) { done(nil) }

func newHub(t *testing.T) *hub.Hub {
	t.Helper()
	h, err := hub.New(hub.Options{Registry: hubmem.New(), Log: accept{}, Policies: hub.NewPolicies()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// planted is a key that no answer may show.
const planted = "cGxhbnRlZCBrZXkgcGxhbnRlZCBrZXkgcGxhbnRlZCE="

func create(t *testing.T, h *hub.Hub, id string) {
	t.Helper()
	keys := hub.SymmetricKey{PrimaryKey: planted, SecondaryKey: planted}
	d := &hub.Device{DeviceID: id, Status: hub.StatusEnabled, Authentication: &hub.Authentication{Type: hub.AuthSAS, SymmetricKey: keys}}
	if _, err := h.PutDevice(t.Context(), d, ""); err != nil {
		t.Fatal(err)
	}
}

func report(t *testing.T, h *hub.Hub, id, patch string) {
	t.Helper()
	token, err := sas.Sign("localhost/devices/"+id, planted, "", start.AddDate(50, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Connect(context.Background(), hub.Credential{ID: hub.ID{Device: id}, HostName: "localhost", Token: token}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Report(t.Context(), []byte(patch)); err != nil {
		t.Fatal(err)
	}
}

func TestStatus(t *testing.T) {
	hb := newHub(t)
	create(t, hb, "quiet")
	create(t, hb, "d'1")
	report(t, hb, "d'1", `{"status":"running","lastHeartbeat":"2026-01-31T12:00:00Z","firmwareVersion":1.10,"other":true}`)
	h := handler(t, failing{}, Options{Hub: hb})
	for _, c := range []struct {
		id, want string
		status   int
	}{
		{"d'1", `{"deviceId":"d'1","status":"running","lastSeen":"2026-01-31T12:00:00Z","firmwareVersion":1.10}`, 200},
		{"quiet", `{"deviceId":"quiet","status":null,"lastSeen":null,"firmwareVersion":null}`, 200},
		{"nobody", `{"title":"Not Found","status":404,"detail":"Device not found"}`, 404},
		{"Quiet", `{"title":"Not Found","status":404,"detail":"Device not found"}`, 404}, // ids have case
		{"%2e%2e%2fx%00", `{"title":"Not Found","status":404,"detail":"Device not found"}`, 404},
	} {
		w := get(h, "/devices/"+c.id+"/status")
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.want {
			t.Errorf("%s: %d\n got %s\nwant %s", c.id, w.Code, got, c.want)
		}
	}
}

func TestDeviceShowsNoKey(t *testing.T) {
	hb := newHub(t)
	create(t, hb, "d1")
	report(t, hb, "d1", `{"site":"north"}`)
	h := handler(t, failing{}, Options{Hub: hb})
	var d struct {
		DeviceID, Status, ConnectionState, Authentication string
		LastActivity                                      *string
		Twin                                              struct {
			Properties struct{ Reported map[string]any }
		}
	}
	w := get(h, "/devices/d1")
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 {
		t.Fatal(w.Code, err, w.Body)
	}
	if d.DeviceID != "d1" || d.Status != "enabled" || d.ConnectionState != "Disconnected" || d.Authentication != "sas" ||
		d.Twin.Properties.Reported["site"] != "north" {
		t.Errorf("%s", w.Body)
	}
	for _, path := range []string{"/devices/d1", "/devices", "/devices/d1/status", "/healthz", "/metrics"} {
		if body := get(h, path).Body.String(); strings.Contains(body, planted) || strings.Contains(strings.ToLower(body), "key") {
			t.Errorf("%s shows a key: %s", path, body)
		}
	}
	if w := get(h, "/devices/nobody"); w.Code != 404 || !strings.Contains(w.Body.String(), `"detail":"Device not found"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestListOfDevices(t *testing.T) {
	hb := newHub(t)
	var all []string
	for i := range 7 {
		all = append(all, fmt.Sprintf("press-%d", i))
	}
	for _, id := range append([]string{"o'brien", "plain"}, all...) {
		create(t, hb, id)
	}
	h := handler(t, failing{}, Options{Hub: hb})
	list := func(target string) (ids []string, pages int) {
		t.Helper()
		for target != "" {
			w := get(h, target)
			var body struct{ Devices []deviceRow }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 200 {
				t.Fatalf("%s: %d %s", target, w.Code, w.Body)
			}
			for _, d := range body.Devices {
				ids = append(ids, d.DeviceID)
				if d.Status != "enabled" || d.ConnectionState != "Disconnected" || d.LastActivity != nil {
					t.Errorf("%+v", d)
				}
			}
			pages++
			target = next(t, w.Header().Get("Link"))
		}
		return ids, pages
	}
	for _, c := range []struct {
		target string
		want   []string
		pages  int
	}{
		{"/devices", append([]string{"o'brien", "plain"}, all...), 1},
		{"/devices?limit=4", append([]string{"o'brien", "plain"}, all...), 3},
		{"/devices?q=press-&limit=3", all, 3},
		{"/devices?q=o'", []string{"o'brien"}, 1},
		{"/devices?q=x", nil, 1},
	} {
		ids, pages := list(c.target)
		if diff := cmp.Diff(c.want, ids); diff != "" || pages != c.pages {
			t.Errorf("%s: %d pages, want %d (-want +got)\n%s", c.target, pages, c.pages, diff)
		}
	}
	if w := get(h, "/devices?q=x"); strings.TrimSpace(w.Body.String()) != `{"devices":[]}` {
		t.Errorf("no devices: %s", w.Body)
	}
	if w := get(h, "/devices?cursor=AAAA"); w.Code < 400 || w.Code >= 500 {
		t.Errorf("a made-up cursor: %d %s", w.Code, w.Body)
	}
}
