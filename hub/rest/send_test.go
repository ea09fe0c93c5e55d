package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

const events = "/devices/d1/messages/events?api-version=2021-04-12"

func later() time.Time { return time.Now().Add(time.Hour) }

// with sends a request without a body, with that Authorization.
func (w *world) with(authorization, method, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Authorization", authorization)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// TestAnswerAfterDurable: 204 is not sent before the log says that the message
// is durable, and not at all if it is refused.
func TestAnswerAfterDurable(t *testing.T) {
	for _, test := range []struct {
		result error
		want   int
	}{
		{nil, 204}, {eventlog.ErrFailed, 503}, {eventlog.ErrClosed, 503}, {eventlog.ErrTooLarge, 413},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.create(hub.ID{Device: "d1"})
			w.log.hold = true
			var got *answer
			go func() { got = w.do("device:d1", "POST", events, "hello", nil) }()
			synctest.Wait()
			if got != nil {
				t.Fatalf("answered %d before the message was durable", got.StatusCode)
			}
			w.log.release(test.result)
			synctest.Wait()
			if got == nil || got.StatusCode != test.want {
				t.Fatalf("with %v: %v, want %d", test.result, got, test.want)
			}
		})
	}
}

// TestTimeout: a log that does not answer does not hold a request for ever, and
// the body that it still borrows is not used again.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.create(hub.ID{Device: "d1"})
		w.log.hold = true
		start := time.Now()
		got := w.do("device:d1", "POST", events, "hello", nil)
		if got.StatusCode != 503 || time.Since(start) != DefaultTimeout {
			t.Errorf("%d after %s, want 503 after %s", got.StatusCode, time.Since(start), DefaultTimeout)
		}
		w.log.release(nil)
	})
}

func TestSendProperties(t *testing.T) {
	w := newWorld(t)
	w.create(hub.ID{Device: "d1"})
	w.create(hub.ID{Device: "d1", Module: "m1"})
	h := http.Header{}
	for name, value := range map[string]string{
		"IoTHub-MessageId": "id 1", "IoTHub-CorrelationId": "c", "IoTHub-UserId": "u", "iothub-contenttype": "application/json",
		"iothub-contentencoding": "utf-8", "iothub-app-b": "2", "iothub-app-a": "1", "dt-subject": "thermostat1",
		"iothub-creation-time-utc": "2026-01-01T00:00:00Z", "X-Other": "no",
	} {
		h.Set(name, value)
	}
	if got := w.do("device:d1", "POST", events, `{"t":1}`, h); got.StatusCode != 204 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	batch := http.Header{"Content-Type": {"application/vnd.microsoft.iothub.json; charset=utf-8"}}
	body := `[{"body":"aGk=","properties":{"iothub-app-tempAlert":"true"}},{"body":"aG8="}]`
	path := "/devices/d1/modules/m1/messages/events?api-version=2021-04-12"
	if got := w.do("module:d1/m1", "POST", path, body, batch); got.StatusCode != 204 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	want := []telemetry.Message{
		{
			DeviceID: "d1", MessageID: "id 1", ContentType: "application/json", Encoding: "utf-8", Body: []byte(`{"t":1}`),
			System: telemetry.Properties{
				{Key: telemetry.CorrelationID, Value: "c"}, {Key: telemetry.Subject, Value: "thermostat1"},
				{Key: telemetry.CreationTime, Value: "2026-01-01T00:00:00Z"}, {Key: telemetry.UserID, Value: "u"},
			},
			Properties: telemetry.Properties{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}},
		},
		{DeviceID: "d1", ModuleID: "m1", Body: []byte("hi"), Properties: telemetry.Properties{{Key: "tempAlert", Value: "true"}}},
		{DeviceID: "d1", ModuleID: "m1", Body: []byte("ho")},
	}
	var sent []telemetry.Message
	for _, m := range w.log.messages() { // the hub also logs what it does itself
		if m.Source == telemetry.Telemetry {
			m.System = slices.DeleteFunc(m.System, func(p telemetry.Property) bool {
				return p.Key == telemetry.AuthMethod || p.Key == telemetry.GenerationID
			})
			sent = append(sent, m)
		}
	}
	if diff := cmp.Diff(want, sent, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestBounds: what is too large is refused with 413, before it is read where
// its length is known.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	w.create(hub.ID{Device: "d1"})
	batch := http.Header{"Content-Type": {batchType}}
	full := strings.Repeat("a", maxEvents)
	item := `{"body":"` + strings.Repeat("YWFh", maxEvents/3/2) + `"}`
	for _, test := range []struct {
		name, role, method, target, body string
		headers                          http.Header
		want                             int
	}{
		{"message", "device:d1", "POST", events, full, nil, 204},
		{"larger message", "device:d1", "POST", events, full + "a", nil, 413},
		{"batch", "device:d1", "POST", events, "[" + item + "]", batch, 204},
		{"larger batch", "device:d1", "POST", events, "[" + item + "," + item + "," + `{"body":"YWFhYWFh"}]`, batch, 413},
		{"cloud to device", "service", "POST", "/devices/d1/messages/devicebound?api-version=1", strings.Repeat("a", maxCloud+1), nil, 413},
		{"twin", "service", "PATCH", "/twins/d1?api-version=1", strings.Repeat(" ", maxJSON+1), nil, 413},
		{"bulk", "owner", "POST", "/devices?api-version=1", strings.Repeat(" ", maxBulk+1), nil, 413},
	} {
		if got := w.do(test.role, test.method, test.target, test.body, test.headers); got.StatusCode != test.want {
			t.Errorf("%s: %d, want %d: %.200s", test.name, got.StatusCode, test.want, got.body)
		}
	}
}

// TestRightsEndAtOnce: there is no session that outlives a disabled device or
// a changed key.
func TestRightsEndAtOnce(t *testing.T) {
	w := newWorld(t)
	d := w.create(hub.ID{Device: "d1"})
	token := w.token("device:d1")
	if rec := w.with(token, "POST", events); rec.Code != 204 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	d.Authentication = nil // new keys
	d, err := w.hub.PutDevice(context.Background(), d, "*")
	if err != nil {
		t.Fatal(err)
	}
	if rec := w.with(token, "POST", events); rec.Code != 401 {
		t.Errorf("with the old key: %d", rec.Code)
	}
	token = w.token("device:d1")
	d.Status = hub.StatusDisabled
	if _, err := w.hub.PutDevice(context.Background(), d, "*"); err != nil {
		t.Fatal(err)
	}
	if rec := w.with(token, "POST", events); rec.Code != 401 {
		t.Errorf("of a disabled device: %d", rec.Code)
	}
}

// BenchmarkSend is one POST of telemetry, without the connection around it.
func BenchmarkSend(b *testing.B) {
	w := newWorld(b)
	w.create(hub.ID{Device: "d1"})
	token := w.token("device:d1")
	const body = `{"deviceId":"d1","temperature":21.5,"humidity":40}`
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", events, strings.NewReader(body))
		r.Header.Set("Authorization", token)
		r.Header.Set("Iothub-App-Alert", "true")
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != 204 {
			b.Fatal(rec.Code)
		}
	}
}
