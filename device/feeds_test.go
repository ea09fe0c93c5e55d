package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// A twinHub plays a hub with a twin; want is what its desired version is.
type twinHub struct {
	desired, reported int64
	filters           []string
	methods           chan string // topics and bodies of answers
	pubacks           chan uint16
	ignoreGets        int // answers to this many GETs are lost
}

func (h *twinHub) serve(w *wire) {
	w.accept(mqtt311.Accepted)
	h.run(w)
}

func (h *twinHub) run(w *wire) {
	for {
		header, body, ok := w.next()
		if !ok {
			return
		}
		switch header.Type {
		case mqtt311.SUBSCRIBE:
			p, _ := mqtt311.ParseSubscribe(body)
			for s := range p.Subscriptions() {
				h.filters = append(h.filters, s.Filter+" "+strconv.Itoa(int(s.QoS)))
			}
			w.grant(body, 0)
		case mqtt311.PUBLISH:
			p, _ := mqtt311.ParsePublish(header.Flags, body)
			h.publish(w, strings.Clone(p.Topic), string(p.Payload), p.QoS, p.ID)
		case mqtt311.PUBACK:
			id, _ := mqtt311.ParsePuback(body)
			h.pubacks <- id
		case mqtt311.PINGREQ:
			w.send(mqtt311.AppendPingresp(nil))
		case mqtt311.DISCONNECT:
			return
		}
	}
}

func (h *twinHub) publish(w *wire, topic, body string, qos uint8, id uint16) {
	_, rid, _ := strings.Cut(topic, "$rid=")
	switch {
	case strings.HasPrefix(topic, "$iothub/twin/GET/?$rid="):
		if body != " " {
			w.t.Errorf("GET with body %q, want one space", body)
		}
		if h.ignoreGets > 0 {
			h.ignoreGets--
			w.conn.Close()
			return
		}
		w.deliver("$iothub/twin/res/200/?$rid="+rid, fmt.Sprintf(`{"desired":{"n":%d,"$version":%d},"reported":{"$version":%d}}`, h.desired, h.desired, h.reported))
	case strings.HasPrefix(topic, "$iothub/twin/PATCH/properties/reported/?$rid="):
		if !strings.HasPrefix(body, "{") {
			w.deliver("$iothub/twin/res/400/?$rid="+rid, `{"errorCode":400004}`)
			return
		}
		h.reported++
		w.deliver(fmt.Sprintf("$iothub/twin/res/204/?$rid=%s&$version=%d", rid, h.reported), "")
	case strings.HasPrefix(topic, "$iothub/methods/res/"):
		h.methods <- topic + " " + body
	case qos == 1:
		w.ack(id)
	}
}

func (h *twinHub) patch(w *wire, version int64) {
	h.desired = version
	w.deliver(fmt.Sprintf("$iothub/twin/PATCH/properties/desired/?$version=%d", version), fmt.Sprintf(`{"n":%d,"$version":%d}`, version, version))
}

func TestTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &twinHub{desired: 7, reported: 3, ignoreGets: 1} // the first answer is lost with its connection
		p := newPeer(t, hub.serve)
		c := connected(t, p, p.options())
		twin, err := c.Twin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d, r := number(t, twin.Desired, "$version"), number(t, twin.Reported, "$version"); d != 7 || r != 3 {
			t.Errorf("versions %v and %v, want 7 and 3", d, r)
		}
		if v, err := c.Report(t.Context(), map[string]any{"temperature": 21}); v != 4 || err != nil {
			t.Errorf("Report: version %d, %v; want 4", v, err)
		}
		var refused *TwinError
		if _, err := c.Report(t.Context(), []int{1}); !errors.As(err, &refused) || refused.Status != 400 {
			t.Errorf("a bad patch: %v, want status 400", err)
		}
		if _, err := c.Report(t.Context(), func() {}); err == nil {
			t.Error("a patch that does not marshal was reported")
		}
		closed(t, c)
		if _, err := c.Twin(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestRefusedSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			for {
				h, body, ok := w.next()
				if !ok {
					return
				}
				if h.Type == mqtt311.SUBSCRIBE {
					w.grant(body, mqtt311.SubscribeFailed)
				}
			}
		})
		c := connected(t, p, p.options())
		if _, err := c.Twin(t.Context()); !errors.Is(err, ErrRefused) {
			t.Errorf("error %v, want ErrRefused", err)
		}
		closed(t, c)
	})
}

func TestTwinRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		c, err := New(testConnection, p.options())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range maxRequests {
			go func() { _, _ = c.Twin(ctx) }()
		}
		synctest.Wait()
		if _, err := c.Twin(ctx); err == nil || !strings.Contains(err.Error(), "64 twin requests wait") {
			t.Errorf("one more: %v", err)
		}
		cancel()
		synctest.Wait()
		if n := len(c.requests.waiting); n != 0 {
			t.Errorf("%d requests are kept after their callers left", n)
		}
		closed(t, c)
	})
}

// Desired properties come whole first, then as patches; where one was missed,
// whole again.
func TestDesired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &twinHub{desired: 3}
		wires := make(chan *wire, 4)
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			wires <- w
			hub.run(w)
		})
		c := connected(t, p, p.options())
		var got []string
		c.OnDesired(func(ctx context.Context, d Desired) {
			got = append(got, fmt.Sprintf("%v %v %v", d.Version, d.Full, number(t, d.Properties, "n")))
			if _, err := c.Report(ctx, struct{}{}); err != nil { // a handler may use the client
				t.Error(err)
			}
		})
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w := <-wires
		hub.patch(w, 4)
		synctest.Wait()
		hub.patch(w, 4) // again: passed over
		synctest.Wait()
		hub.patch(w, 7) // 5 and 6 were missed
		synctest.Wait()
		hub.desired = 9 // while it is away
		w.conn.Close()
		time.Sleep(time.Minute)
		<-wires
		closed(t, c)
		want := []string{"3 true 3", "4 false 4", "7 true 7", "9 true 9"}
		if !slices.Equal(got, want) {
			t.Errorf("handed over %q, want %q", got, want)
		}
		for _, f := range []string{"$iothub/twin/res/# 0", "$iothub/twin/PATCH/properties/desired/# 0"} {
			if !slices.Contains(hub.filters, f) {
				t.Errorf("subscribed to %q, without %q", hub.filters, f)
			}
		}
	})
}

func TestMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &twinHub{methods: make(chan string, 100)}
		wires := make(chan *wire, 4)
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			wires <- w
			hub.run(w)
		})
		c := connected(t, p, p.options())
		c.OnMethod("add one", func(_ context.Context, payload json.RawMessage) (int, any) {
			var n int
			if err := json.Unmarshal(payload, &n); err != nil {
				return 400, nil
			}
			return 200, n + 1
		})
		c.OnMethod("bad", func(context.Context, json.RawMessage) (int, any) { return 200, func() {} })
		release := make(chan struct{})
		c.OnMethod("slow", func(context.Context, json.RawMessage) (int, any) { <-release; return 200, nil })
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := <-wires
		for _, m := range []struct{ call, body, want string }{
			{"add%20one/?$rid=a1", "41", "$iothub/methods/res/200/?$rid=a1 42"},
			{"add%20one/?$rid=a2", "x", "$iothub/methods/res/400/?$rid=a2 "},
			{"none/?$rid=a3", "", `$iothub/methods/res/501/?$rid=a3 {"message":"no handler for method none"}`},
			{"bad/?$rid=a4", "", `$iothub/methods/res/500/?$rid=a4 {"message":"the reply does not marshal to JSON"}`},
		} {
			w.deliver("$iothub/methods/POST/"+m.call, m.body)
			if got := <-hub.methods; got != m.want {
				t.Errorf("%s: answered\n%s, want\n%s", m.call, got, m.want)
			}
		}
		for i := range maxCalls + 1 {
			w.deliver(fmt.Sprintf("$iothub/methods/POST/slow/?$rid=%d", i), "")
		}
		if got := <-hub.methods; !strings.HasPrefix(got, "$iothub/methods/res/429/?$rid=32 ") {
			t.Errorf("call %d: %s, want status 429", maxCalls+1, got)
		}
		close(release)
		for range maxCalls {
			if got := <-hub.methods; !strings.HasPrefix(got, "$iothub/methods/res/200/") {
				t.Error(got)
			}
		}
		closed(t, c)
	})
}

func TestMethodAnswersStayOnTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &twinHub{methods: make(chan string, 1)}
		wires := make(chan *wire, 4)
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			wires <- w
			hub.run(w)
		})
		c := connected(t, p, p.options())
		release := make(chan struct{})
		c.OnMethod("slow", func(context.Context, json.RawMessage) (int, any) { <-release; return 200, nil })
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := <-wires
		w.deliver("$iothub/methods/POST/slow/?$rid=1", "")
		synctest.Wait()
		w.conn.Close()
		<-wires // the next connection
		close(release)
		synctest.Wait()
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed(t, c)
		select {
		case got := <-hub.methods:
			t.Errorf("the new connection was sent %s", got)
		default:
		}
	})
}

func TestCloudMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &twinHub{pubacks: make(chan uint16, 10)}
		wires := make(chan *wire, 1)
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			wires <- w
			hub.run(w)
		})
		c := connected(t, p, p.options())
		got := make(chan CloudMessage, 10)
		c.OnMessage(func(ctx context.Context, m CloudMessage) error {
			got <- m
			if string(m.Body) == "bad" {
				return errors.New("not understood")
			}
			return c.Send(ctx, Message{}) // a handler may wait for the hub
		})
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := <-wires
		deliver := func(id uint16, bag, body string) {
			w.send(mqtt311.AppendPublish(nil, &mqtt311.Publish{
				Topic: "devices/d1/messages/devicebound/" + bag, Payload: []byte(body), ID: id, QoS: 1,
			}))
		}
		deliver(5, "%24.mid=a%201&%24.cid=c&%24.uid=u&%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound&%24.ct=text%2Fplain&%24.ce=utf-8&iothub-ack=full&p=1&flag&%24.other=x", "hello")
		deliver(6, "", "bad")
		deliver(7, "", "")
		synctest.Wait()
		m := <-got
		if m.ID != "a 1" || m.CorrelationID != "c" || m.UserID != "u" || m.To != "/devices/d1/messages/devicebound" ||
			m.ContentType != "text/plain" || m.Encoding != "utf-8" || m.Ack != "full" || string(m.Body) != "hello" ||
			!slices.Equal(m.Properties, telemetry.Properties{{Key: "p", Value: "1"}, {Key: "flag", Null: true}}) {
			t.Errorf("received %+v", m)
		}
		if a, b := <-hub.pubacks, <-hub.pubacks; a != 5 || b != 7 {
			t.Errorf("acknowledged %d and %d, want 5 and 7: 6 was not handled", a, b)
		}
		closed(t, c)
		if !slices.Contains(hub.filters, "devices/d1/messages/devicebound/# 1") {
			t.Errorf("subscribed to %q", hub.filters)
		}
	})
}

func TestModuleInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			if _, body, ok := w.next(); ok {
				w.grant(body, 1)
			}
			w.deliver("devices/d1/modules/m1/inputs/in1/%24.mid=7", "x")
			w.serve(nil)
		})
		c, err := Connect(t.Context(), "HostName=h;DeviceId=d1;ModuleId=m1;SharedAccessKey=a2V5", p.options())
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan CloudMessage, 1)
		c.OnMessage(func(_ context.Context, m CloudMessage) error { got <- m; return nil })
		if m := <-got; m.Input != "in1" || m.ID != "7" {
			t.Errorf("received %+v", m)
		}
		closed(t, c)
	})
}

// A handler that hangs must not let memory grow: the connection is given up.
func TestSlowHandlerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := newPeer(t, func(w *wire) {
			w.accept(mqtt311.Accepted)
			if _, body, ok := w.next(); ok {
				w.grant(body, 1)
			}
			for range maxInbox + 2 {
				w.deliver("devices/d1/messages/devicebound/", "x")
			}
		}, good(nil))
		o := p.options()
		var causes []error
		o.OnConnection = func(err error) { causes = append(causes, err) }
		c := connected(t, p, o)
		c.OnMessage(func(context.Context, CloudMessage) error { <-release; return nil })
		time.Sleep(time.Minute)
		close(release)
		closed(t, c)
		if len(causes) != 3 || !errors.Is(causes[1], errInbox) {
			t.Errorf("OnConnection saw %v, want errInbox in between", causes)
		}
	})
}
