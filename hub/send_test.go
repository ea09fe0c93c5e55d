package hub_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

// send sends one message and returns what done got; it must have come at once.
func send(t *testing.T, s *hub.Session, m telemetry.Message) error {
	t.Helper()
	got := errors.New("done did not run")
	s.Send(t.Context(), []telemetry.Message{m}, func(err error) { got = err })
	return got
}

func TestSendStampsTheSender(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	s, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token(t, d, time.Hour), ModelID: "dtmi:a;1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stamps := telemetry.Properties{
		{Key: telemetry.AuthMethod, Value: `{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}`},
		{Key: telemetry.GenerationID, Value: d.GenerationID},
		{Key: telemetry.DataSchema, Value: "dtmi:a;1"},
	}
	own := telemetry.Property{Key: telemetry.CorrelationID, Value: "c"}
	for name, c := range map[string]struct{ system, want telemetry.Properties }{
		"nothing of its own": {nil, stamps},
		"one of its own":     {telemetry.Properties{own}, append(telemetry.Properties{own}, stamps...)},
		"a forged one":       {telemetry.Properties{{Key: telemetry.GenerationID, Value: "1"}, own}, append(telemetry.Properties{own}, stamps...)},
	} {
		msgs := []telemetry.Message{{DeviceID: "forged", ModuleID: "forged", Source: telemetry.Lifecycle, System: c.system, Body: []byte("b")}}
		for range 2 { // a door may try the same message again
			s.Send(t.Context(), msgs, func(err error) { wantError(t, err, nil) })
			want := telemetry.Message{DeviceID: "d", System: c.want, Body: []byte("b")}
			if diff := cmp.Diff(want, h.log.got[len(h.log.got)-1]); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	}
	twin, err := h.TwinOf(t.Context(), d.ID())
	if err != nil || twin.ModelID != "dtmi:a;1" {
		t.Errorf("twin %+v, %v: wants the model", twin, err)
	}
}

func TestSendRefusals(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	s, _ := h.connect(d, 0)
	wantError(t, send(t, s, telemetry.Message{Body: make([]byte, 256<<10)}), nil)
	wantError(t, send(t, s, telemetry.Message{Body: make([]byte, 256<<10+1)}), hub.ErrTooLarge)
	for cause, want := range map[error]error{
		eventlog.ErrTooLarge: hub.ErrTooLarge, eventlog.ErrClosed: hub.ErrUnavailable,
		fmt.Errorf("%w: disk gone", eventlog.ErrFailed): hub.ErrUnavailable,
	} {
		h.log.fail = []error{cause}
		wantError(t, send(t, s, telemetry.Message{Body: []byte("b")}), want)
	}
	s.Close()
	if err := send(t, s, telemetry.Message{}); err == nil {
		t.Error("a closed session sends")
	}
}

func TestSendWaitsForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, func(o *hub.Options) { o.InFlight = 1000 })
		h.log.hold = true
		s, _ := h.connect(h.device("d"), 0)
		results := make(chan error, 10)
		send := func(ctx context.Context, body string) {
			s.Send(ctx, []telemetry.Message{{Body: append([]byte(body), make([]byte, 600)...)}}, func(err error) { results <- err })
		}
		sent := 0
		go func() {
			for range 3 {
				send(t.Context(), "x")
				sent++
			}
		}()
		synctest.Wait()
		if sent != 1 {
			t.Fatalf("%d sends returned with a budget for one", sent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go send(ctx, "given up")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		wantError(t, <-results, hub.ErrUnavailable)
		for want := 2; want <= 3; want++ {
			h.log.release()
			synctest.Wait()
			wantError(t, <-results, nil)
			if sent != want {
				t.Fatalf("%d sends returned, want %d", sent, want)
			}
		}
		h.log.release()
		wantError(t, <-results, nil)
		go send(t.Context(), string(make([]byte, 5000))) // more than the whole budget goes alone
		synctest.Wait()
		h.log.release()
		wantError(t, <-results, nil)
	})
}

func TestSendWaitsForAFullLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		s, _ := h.connect(h.device("d"), 0)
		for range 10 {
			h.log.fail = append(h.log.fail, eventlog.ErrFull)
		}
		wantError(t, send(t, s, telemetry.Message{Body: []byte("1")}), nil)
		wantError(t, send(t, s, telemetry.Message{Body: []byte("2")}), nil)
		if got := h.log.bodies(); got != "1 2" {
			t.Errorf("the log has %q", got)
		}
		for range 1000 {
			h.log.fail = append(h.log.fail, eventlog.ErrFull)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.Send(ctx, []telemetry.Message{{Body: []byte("3")}}, func(err error) { wantError(t, err, hub.ErrUnavailable) })
	})
}

// countingRegistry counts writes.
type countingRegistry struct {
	hub.Registry
	writes atomic.Int64
}

func (r *countingRegistry) Write(ctx context.Context, changes ...hub.Change) error {
	r.writes.Add(1)
	return r.Registry.Write(ctx, changes...)
}

func TestActivityIsWrittenInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counting := &countingRegistry{}
		h := newHub(t, func(o *hub.Options) { counting.Registry = o.Registry; o.Registry = counting })
		d := h.device("d")
		s, _ := h.connect(d, 0)
		before := counting.writes.Load()
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			wantError(t, send(t, s, telemetry.Message{Body: []byte("b")}), nil)
		}
		last := time.Now().Truncate(time.Millisecond)
		if n := counting.writes.Load() - before; n < 1 || n > 3 {
			t.Errorf("%d writes in 10 s, want 2", n)
		}
		if got := h.get(d.ID()).LastActivityTime; !got.Equal(last) {
			t.Errorf("last activity %v, want %v: memory knows before the registry", got, last)
		}
		s.Close()
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		stored, err := counting.Device(t.Context(), d.ID())
		if err != nil || !stored.LastActivityTime.Equal(last) || stored.ConnectionStateUpdatedTime.IsZero() {
			t.Errorf("stored %+v, %v", stored, err)
		}
	})
}

// nullLog acknowledges at once.
type nullLog struct{}

func (nullLog) Append(_ []telemetry.Message, done func(error)) { done(nil) }

func BenchmarkSend(b *testing.B) {
	h := newHub(b, func(o *hub.Options) { o.Log = nullLog{} })
	s, _ := h.connect(h.device("d"), 0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		msgs := make([]telemetry.Message, 1)
		body, done := make([]byte, 100), func(error) {}
		for pb.Next() {
			msgs[0] = telemetry.Message{Body: body}
			s.Send(b.Context(), msgs, done)
		}
	})
}

func BenchmarkConnect(b *testing.B) {
	h := newHub(b)
	d := h.device("d")
	c := hub.Credential{ID: d.ID(), Token: token(b, d, time.Hour)}
	r := newDoor()
	b.ReportAllocs()
	for b.Loop() {
		s, err := h.Connect(b.Context(), c, r)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

// BenchmarkIdleSession measures what a connected device that is silent costs
// the hub in memory, its door left out.
func BenchmarkIdleSession(b *testing.B) {
	const devices = 10_000
	h := newHub(b)
	credentials := make([]hub.Credential, devices)
	for n := range credentials {
		d := h.device(fmt.Sprintf("device-%05d", n))
		credentials[n] = hub.Credential{ID: d.ID(), Token: token(b, d, time.Hour)}
	}
	r := newDoor()
	for b.Loop() {
		before := heap()
		sessions := make([]*hub.Session, devices)
		for n, c := range credentials {
			var err error
			if sessions[n], err = h.Connect(b.Context(), c, r); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/devices, "B/session")
		for _, s := range sessions {
			s.Close()
		}
	}
}

// heap is the number of bytes in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
