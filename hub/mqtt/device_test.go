package mqtt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

const (
	devicebound = "devices/d1/messages/devicebound/#"
	methods     = "$iothub/methods/POST/#"
	twinAnswers = "$iothub/twin/res/#"
	desired     = "$iothub/twin/PATCH/properties/desired/#"
)

func (r *rig) sendToDevice(id hub.ID, m *hub.CloudMessage) {
	r.t.Helper()
	if err := r.hub.SendToDevice(context.Background(), id, m); err != nil {
		r.t.Fatal(err)
	}
}

func TestSubscribeGrants(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	device, module := r.connect(d1), r.connect(m1)
	device.send(subscribe(1, 0, devicebound), subscribe(2, 1, methods, twinAnswers), subscribe(3, 2, desired))
	device.expect("SUBACK 1 [0]")
	device.expect("SUBACK 2 [1 1]")
	device.expect("SUBACK 3 [1]")
	module.send(subscribe(1, 1, "devices/d1/modules/m1/inputs/#", "devices/d1/modules/m1/#"))
	module.expect("SUBACK 1 [1 1]")
	device.send(mqtt311.AppendUnsubscribe(nil, 9, methods, "never/subscribed"))
	device.expect("UNSUBACK 9")
}

func TestCloudToDevice(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	token := r.device(d1)
	r.sendToDevice(d1, &hub.CloudMessage{
		MessageID: "id 1", CorrelationID: "c", ContentType: "text/plain", Ack: "full", Body: []byte("first"),
		Properties: telemetry.Properties{{Key: "p", Value: "1"}, {Key: "null", Null: true}, {Key: "empty"}},
	})
	c := r.connectWith(d1, token)
	c.send(subscribe(1, 1, devicebound))
	c.expect("SUBACK 1 [1]")
	const first = "devices/d1/messages/devicebound/%24.mid=id%201&%24.cid=c&%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound&%24.ct=text%2Fplain&iothub-ack=full&p=1&null&empty= first"
	c.expect("PUBLISH QoS 1 id 1 " + first)

	// Not acknowledged: the next connection gets it again, without subscribing
	// again, for it asked to keep its session.
	c.send(mqtt311.AppendDisconnect(nil))
	c.expect("closed")
	c = r.connectWith(d1, token)
	c.expect("PUBLISH QoS 1 id 1 " + first)
	c.send(mqtt311.AppendPuback(nil, 1), mqtt311.AppendPuback(nil, 99), ping) // 99 is nothing
	c.expect("PINGRESP")
	r.sendToDevice(d1, &hub.CloudMessage{MessageID: "2", Body: []byte("second")})
	if got := c.read(); !strings.HasPrefix(got, "PUBLISH QoS 1 id 2 ") || !strings.HasSuffix(got, " second") {
		t.Fatal(got)
	}
	c.send(mqtt311.AppendPuback(nil, 2), ping)
	c.expect("PINGRESP")
	c = r.connectWith(d1, token)
	c.send(ping)
	c.expect("PINGRESP") // nothing waits
}

// With QoS 0 nobody acknowledges: written is delivered.
func TestCloudToDeviceQoS0(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(subscribe(1, 0, devicebound))
	c.expect("SUBACK 1 [0]")
	r.sendToDevice(d1, &hub.CloudMessage{Body: []byte("x")})
	if got := c.read(); !strings.HasPrefix(got, "PUBLISH devices/d1/messages/devicebound/") {
		t.Fatal(got)
	}
	for {
		n, err := r.hub.PurgeQueue(context.Background(), "d1")
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		runtime.Gosched()
	}
}

func TestUnsubscribeReturnsMessages(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(subscribe(1, 1, devicebound))
	c.expect("SUBACK 1 [1]")
	r.sendToDevice(d1, &hub.CloudMessage{Body: []byte("x")})
	one := c.read()
	c.send(mqtt311.AppendUnsubscribe(nil, 2, devicebound), subscribe(3, 1, devicebound))
	c.expect("UNSUBACK 2")
	c.expect("SUBACK 3 [1]")
	if two := c.read(); strings.Replace(two, "id 2", "id 1", 1) != one {
		t.Errorf("got %q, want %q again", two, one)
	}
}

// A clean session forgets; the other kind remembers, within its bound.
func TestSessions(t *testing.T) {
	r := newRig(t, mqtt.Options{Sessions: 1})
	token, token2 := r.device(d1), r.device(hub.ID{Device: "d2"})
	clean := func(p *mqtt311.Connect) { p.CleanSession = true }
	connect := func(id hub.ID, token, want string, change ...func(*mqtt311.Connect)) *client {
		p := connectPacket(id, token)
		for _, f := range change {
			f(p)
		}
		c := r.dial()
		c.send(mqtt311.AppendConnect(nil, p))
		c.expect(want)
		return c
	}
	const fresh, present = "CONNACK accepted", "CONNACK accepted, session present"
	c := connect(d1, token, fresh)
	c.send(subscribe(1, 1, desired))
	c.expect("SUBACK 1 [1]")
	c = connect(d1, token, present)
	if _, err := r.hub.PatchTwin(context.Background(), d1, []byte(`{"properties":{"desired":{"a":1}}}`), ""); err != nil {
		t.Fatal(err)
	}
	if got := c.read(); !strings.HasPrefix(got, "PUBLISH $iothub/twin/PATCH/properties/desired/?$version=") {
		t.Error(got)
	}
	connect(d1, token, fresh, clean)
	connect(d1, token, fresh)
	connect(d1, token, present)
	connect(hub.ID{Device: "d2"}, token2, fresh)
	connect(d1, token, fresh) // pushed out by d2
}

func TestTwin(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(publish("$iothub/twin/GET/?$rid=early", " ", 0)) // as the Python SDK does
	c.expect(`PUBLISH $iothub/twin/res/200/?$rid=early {"desired":{"$version":1},"reported":{"$version":1}}`)
	c.send(subscribe(1, 0, twinAnswers, desired), publish("$iothub/twin/GET/?$rid=a1", " ", 0))
	c.expect("SUBACK 1 [0 0]")
	c.expect(`PUBLISH $iothub/twin/res/200/?$rid=a1 {"desired":{"$version":1},"reported":{"$version":1}}`)
	c.send(publish("$iothub/twin/PATCH/properties/reported/?$rid=2", `{"fw":"1.0"}`, 7))
	c.expect("PUBLISH $iothub/twin/res/204/?$rid=2&$version=2 ")
	c.expect("PUBACK 7")
	if _, err := r.hub.PatchTwin(context.Background(), d1, []byte(`{"properties":{"desired":{"speed":7}}}`), ""); err != nil {
		t.Fatal(err)
	}
	c.expect(`PUBLISH $iothub/twin/PATCH/properties/desired/?$version=2 {"$version":2,"speed":7}`)
	c.send(publish("$iothub/twin/GET/?$rid=3", " ", 0))
	c.expect(`PUBLISH $iothub/twin/res/200/?$rid=3 {"desired":{"$version":2,"speed":7},"reported":{"$version":2,"fw":"1.0"}}`)
}

// An error is told twice: in the status for Python, in the body for Node.
func TestTwinError(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(subscribe(1, 0, twinAnswers))
	c.expect("SUBACK 1 [0]")
	for _, patch := range []string{"", "no json", "[1]", `{"a":"` + strings.Repeat("x", 40<<10) + `"}`} {
		c.send(publish("$iothub/twin/PATCH/properties/reported/?$rid=9", patch, 0))
		got := c.read()
		body, ok := strings.CutPrefix(got, "PUBLISH $iothub/twin/res/400/?$rid=9 ")
		if !ok {
			body, ok = strings.CutPrefix(got, "PUBLISH $iothub/twin/res/413/?$rid=9 ")
		}
		var e struct{ ErrorCode int }
		if !ok || json.Unmarshal([]byte(body), &e) != nil || e.ErrorCode/1000 != 400 && e.ErrorCode/1000 != 413 {
			t.Errorf("%.20q: %s", patch, got)
		}
	}
}

func TestMethods(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(subscribe(1, 0, methods))
	c.expect("SUBACK 1 [0]")
	for _, tt := range []struct{ payload, answer, want string }{
		{`{"rate":2}`, `{"ok":true}`, `200 {"ok":true}`},
		{"", "", "200 "},
	} {
		done := make(chan string, 1)
		go func() {
			resp, err := r.hub.Invoke(context.Background(), d1, hub.MethodRequest{Name: "reboot", Payload: json.RawMessage(tt.payload)})
			if err != nil {
				done <- err.Error()
				return
			}
			done <- fmt.Sprintf("%d %s", resp.Status, resp.Payload)
		}()
		got := c.read()
		rest, ok := strings.CutPrefix(got, "PUBLISH $iothub/methods/POST/reboot/?$rid=")
		rid, payload, _ := strings.Cut(rest, " ")
		if !ok || payload != tt.payload && tt.payload != "" {
			t.Fatal(got)
		}
		c.send(publish("$iothub/methods/res/200/?$rid="+rid, tt.answer, 0))
		if got := <-done; got != tt.want {
			t.Errorf("answer %q, want %q", got, tt.want)
		}
	}
	c.send(publish("$iothub/methods/res/200/?$rid=unknown", "{}", 3)) // it timed out: no harm
	c.expect("PUBACK 3")
}

func TestWill(t *testing.T) {
	will := func(topic string, qos uint8) func(*mqtt311.Connect) {
		return func(p *mqtt311.Connect) {
			p.HasWill = true
			p.Will = mqtt311.Will{Topic: topic, Payload: []byte("gone"), QoS: qos}
		}
	}
	t.Run("sent after a loss", func(t *testing.T) {
		r := newRig(t, mqtt.Options{})
		_ = r.connect(d1, will(events+"a=b&%24.ct=text%2Fplain", 1)).nc.Close()
		if got := describe(r.log.wait(1)[0]); got != `d1 ct=text/plain [a=b] [iothub-MessageType=Will] "gone"` {
			t.Error(got)
		}
	})
	t.Run("not sent after DISCONNECT", func(t *testing.T) {
		r := newRig(t, mqtt.Options{})
		c := r.connect(d1, will(events, 0))
		c.send(mqtt311.AppendDisconnect(nil))
		c.expect("closed")
		for r.metric("weir_mqtt_disconnects_total", "client") == 0 {
			runtime.Gosched()
		}
		if n := len(r.log.wait(0)); n != 0 {
			t.Error("messages:", n)
		}
	})
	for name, w := range map[string]func(*mqtt311.Connect){
		"to another device": will("devices/d2/messages/events/", 1),
		"to any topic":      will("status", 0),
		"QoS 2":             will(events, 2),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, mqtt.Options{})
			p := connectPacket(d1, r.device(d1))
			w(p)
			c := r.dial()
			c.send(mqtt311.AppendConnect(nil, p))
			c.expect("closed")
		})
	}
}
