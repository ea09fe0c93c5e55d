package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/hub"
)

func TestInvoke(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	s, r := h.connect(d, hub.FeedMethods)
	for payload, want := range map[string]string{`{"a":1}`: `{"a":1}`, ``: ``, `no JSON`: `"no JSON"`} {
		go func() {
			call := <-r.calls
			s.Respond("unknown", 500, nil)
			s.Respond(call.RequestID, 201, []byte(payload))
			s.Respond(call.RequestID, 202, nil) // twice
		}()
		got, err := h.Invoke(t.Context(), d.ID(), hub.MethodRequest{Name: "reboot", Payload: json.RawMessage(`{"in":1}`)})
		if err != nil || got.Status != 201 || string(got.Payload) != want {
			t.Errorf("%q: %+v, %v", payload, got, err)
		}
	}
}

func TestInvokeRefusals(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	h.connect(d, 0) // connected, but takes no methods
	ok := hub.MethodRequest{Name: "m"}
	with := func(change func(*hub.MethodRequest)) hub.MethodRequest { r := ok; change(&r); return r }
	for name, c := range map[string]struct {
		id   hub.ID
		r    hub.MethodRequest
		want error
	}{
		"unknown device":   {hub.ID{Device: "x"}, ok, hub.ErrDeviceNotFound},
		"unknown module":   {hub.ID{Device: "d", Module: "x"}, ok, hub.ErrModuleNotFound},
		"not subscribed":   {d.ID(), ok, hub.ErrDeviceNotOnline},
		"no name":          {d.ID(), hub.MethodRequest{}, hub.ErrArgument},
		"long name":        {d.ID(), hub.MethodRequest{Name: strings.Repeat("x", 101)}, hub.ErrArgument},
		"wildcard":         {d.ID(), hub.MethodRequest{Name: "a/#"}, hub.ErrArgument},
		"too short":        {d.ID(), with(func(r *hub.MethodRequest) { r.ResponseTimeout = 4 * time.Second }), hub.ErrArgument},
		"too long":         {d.ID(), with(func(r *hub.MethodRequest) { r.ResponseTimeout = 3601 * time.Second }), hub.ErrArgument},
		"connect > answer": {d.ID(), with(func(r *hub.MethodRequest) { r.ConnectTimeout = 31 * time.Second }), hub.ErrArgument},
		"negative":         {d.ID(), with(func(r *hub.MethodRequest) { r.ConnectTimeout = -1 }), hub.ErrArgument},
		"no JSON":          {d.ID(), with(func(r *hub.MethodRequest) { r.Payload = json.RawMessage("{") }), hub.ErrArgument},
		"too large":        {d.ID(), with(func(r *hub.MethodRequest) { r.Payload = json.RawMessage(strings.Repeat(" ", 128<<10) + "1") }), hub.ErrTooLarge},
	} {
		if _, err := h.Invoke(t.Context(), c.id, c.r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestInvokeInTime(t *testing.T) {
	request := hub.MethodRequest{Name: "m", ConnectTimeout: 10 * time.Second, ResponseTimeout: 20 * time.Second}
	for name, c := range map[string]struct {
		device func(t *testing.T, h *testHub, d *hub.Device)
		after  time.Duration
		want   error
	}{
		"never connects": {func(*testing.T, *testHub, *hub.Device) {}, 10 * time.Second, hub.ErrDeviceNotOnline},
		"connects late, answers": {func(t *testing.T, h *testHub, d *hub.Device) {
			time.Sleep(9 * time.Second)
			s, r := h.connect(d, hub.FeedMethods)
			s.Respond((<-r.calls).RequestID, 200, nil)
		}, 9 * time.Second, nil},
		"never answers": {func(t *testing.T, h *testHub, d *hub.Device) {
			s, r := h.connect(d, hub.FeedMethods)
			call := <-r.calls
			time.Sleep(21 * time.Second)
			s.Respond(call.RequestID, 200, nil) // too late
		}, 20 * time.Second, hub.ErrGatewayTimeout},
		"disconnects": {func(t *testing.T, h *testHub, d *hub.Device) {
			s, r := h.connect(d, hub.FeedMethods)
			<-r.calls
			time.Sleep(3 * time.Second)
			s.Close()
		}, 3 * time.Second, hub.ErrDeviceNotOnline},
		"renews its token in between": {func(t *testing.T, h *testHub, d *hub.Device) {
			_, r := h.connect(d, hub.FeedMethods)
			call := <-r.calls
			time.Sleep(3 * time.Second)
			s, _ := h.connect(d, hub.FeedMethods)
			s.Respond(call.RequestID, 200, nil)
		}, 3 * time.Second, nil},
		"renews and disconnects": {func(t *testing.T, h *testHub, d *hub.Device) {
			_, r := h.connect(d, hub.FeedMethods)
			<-r.calls
			s, _ := h.connect(d, hub.FeedMethods)
			time.Sleep(4 * time.Second)
			s.Close()
		}, 4 * time.Second, hub.ErrDeviceNotOnline},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				d := h.device("d")
				var wg sync.WaitGroup
				wg.Go(func() { c.device(t, h, d) })
				start := time.Now()
				_, err := h.Invoke(t.Context(), d.ID(), request)
				wantError(t, err, c.want)
				if took := time.Since(start); took != c.after {
					t.Errorf("it took %v, want %v", took, c.after)
				}
				wg.Wait()
			})
		})
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	s, r := h.connect(d, hub.FeedMethods)
	const callers = 500
	var device, all sync.WaitGroup
	for range 4 {
		device.Go(func() {
			for call := range r.calls {
				s.Respond(call.RequestID, 200, call.Payload)
			}
		})
	}
	for n := range callers {
		all.Go(func() {
			want := fmt.Sprint(n)
			got, err := h.Invoke(t.Context(), d.ID(), hub.MethodRequest{Name: "echo", Payload: json.RawMessage(want)})
			if err != nil || string(got.Payload) != want {
				t.Errorf("call %d: %+v, %v", n, got, err)
			}
		})
	}
	all.Wait()
	close(r.calls)
	device.Wait()
}

func TestUnansweredCallsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, func(o *hub.Options) { o.Limits.MethodsPending = 2 })
		d := h.device("d")
		s, r := h.connect(d, hub.FeedMethods)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				_, err := h.Invoke(t.Context(), d.ID(), hub.MethodRequest{Name: "m"})
				wantError(t, err, nil)
			})
		}
		synctest.Wait()
		_, err := h.Invoke(t.Context(), d.ID(), hub.MethodRequest{Name: "m"})
		wantError(t, err, hub.ErrThrottled)
		for range 2 {
			s.Respond((<-r.calls).RequestID, 200, nil)
		}
		wg.Wait()
	})
}
