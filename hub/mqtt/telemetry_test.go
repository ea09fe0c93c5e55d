package mqtt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
)

func TestTelemetryTopics(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	device, module := r.connect(d1), r.connect(m1)
	for i, tt := range []struct {
		from        *client
		topic, want string
	}{
		{device, "devices/d1/messages/events/", `d1 "x"`},
		{device, "devices/d1/messages/events", `d1 "x"`},
		{device, "devices/d1/messages/events/a=b/", `d1 [a=b] "x"`},
		{device, "devices/d1/messages/events/%24.mid=id%201&%24.ct=application%2Fjson&%24.ce=utf-8&a%20b=c%26d", `d1 mid=id 1 ct=application/json ce=utf-8 [a b=c&d] "x"`},
		{device, "devices/d1/messages/events/$.mid=7&$.ct=text/plain", `d1 mid=7 ct=text/plain "x"`},
		{device, "devices/d1/messages/events/n&e=&p=1+1", `d1 [n] [e=] [p=1+1] "x"`},
		{device, "devices/d1/messages/events/%24.cid=c&%24.uid=u&%24.to=t&%24.exp=1&%24.ctime=2&%24.sub=s&%24.ifid=i&%24.schema=m&iothub-operation=o&iothub-ack=full",
			`d1 correlation-id=c user-id=u to=t absolute-expiry-time=1 iothub-creation-time-utc=2 dt-subject=s iothub-interface-id=i iothub-message-schema=m iothub-operation=o iothub-ack=full "x"`},
		// Who a message is from is never the sender's to say.
		{device, "devices/d1/messages/events/%24.cdid=d2&%24.cmid=m2&iothub-connection-device-id=d2", `d1 [iothub-connection-device-id=d2] "x"`},
		{module, "devices/d1/modules/m1/messages/events/%24.on=out1&%24.sub=thermostat1/", `d1/m1 iothub-outputname=out1 dt-subject=thermostat1 "x"`},
	} {
		tt.from.send(publish(tt.topic, "x", uint16(i+1)))
		tt.from.expect(fmt.Sprintf("PUBACK %d", i+1))
		if got := describe(r.log.wait(i + 1)[i]); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.topic, got, tt.want)
		}
	}
}

func TestPublishFlags(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	for _, p := range []mqtt311.Publish{
		{Topic: events, Payload: []byte("qos 0")},
		{Topic: events, Payload: []byte("dup"), QoS: 1, ID: 7, Dup: true},
		{Topic: events, Payload: []byte("dup"), QoS: 1, ID: 7, Dup: true},
		{Topic: events + "a=b", Payload: []byte("retain"), QoS: 1, ID: 65535, Retain: true},
		{Topic: events, QoS: 1, ID: 1},
	} {
		c.send(mqtt311.AppendPublish(nil, &p))
	}
	c.expect("PUBACK 7")
	c.expect("PUBACK 7")
	c.expect("PUBACK 65535")
	c.expect("PUBACK 1")
	want := []string{`d1 "qos 0"`, `d1 "dup"`, `d1 "dup"`, `d1 [a=b] [mqtt-retain=true] "retain"`, `d1 ""`}
	for i, m := range r.log.wait(len(want)) {
		if got := describe(m); got != want[i] {
			t.Errorf("message %d: %s, want %s", i, got, want[i])
		}
	}
}

// Acknowledged means durable: no PUBACK leaves before the log says so, and the
// reader goes on meanwhile.
func TestPubackFollowsDurability(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	r.log.setHold()
	c.send(publish(events, "a", 1), publish(events, "b", 2))
	r.log.wait(2)
	c.send(publish(events, "c", 3), ping)
	r.log.wait(3)
	c.expect("PINGRESP") // not a PUBACK, though three messages came before
	r.log.release(nil)
	for i := range 3 {
		c.expect(fmt.Sprintf("PUBACK %d", i+1))
	}
}

// What the log refuses is never acknowledged: the connection ends.
func TestRefusedIsNotAcknowledged(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	r.log.setHold()
	c.send(publish(events, "a", 1))
	r.log.wait(1)
	r.log.release(errors.New("disk is gone"))
	c.expect("closed")
	if n := r.metric("weir_mqtt_pubacks_total", ""); n != 0 {
		t.Error("acknowledged:", n)
	}
}

// A PUBACK of a twin request waits for those of the telemetry before it
// (MQTT 3.1.1, section 4.6).
func TestPubacksLeaveInOrder(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	r.log.setHold()
	c.send(publish(events, "a", 1), publish("$iothub/twin/GET/?$rid=1", " ", 2), publish(events, "b", 3))
	r.log.wait(2) // the log holds up nothing but PUBACKs
	c.expect(`PUBLISH $iothub/twin/res/200/?$rid=1 {"desired":{"$version":1},"reported":{"$version":1}}`)
	r.log.release(nil)
	c.expect("PUBACK 1")
	c.expect("PUBACK 2")
	c.expect("PUBACK 3")
}

// Packets come as TCP cuts them.
func TestSplitPackets(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	var stream []byte
	for i := range 3 {
		stream = append(stream, publish(events+"a=b", strings.Repeat("x", 300*i), uint16(i+1))...)
	}
	for i := range stream {
		c.send(stream[i : i+1])
	}
	for i := range 3 {
		c.expect(fmt.Sprintf("PUBACK %d", i+1))
	}
	for i, m := range r.log.wait(3) {
		if len(m.Body) != 300*i || len(m.Properties) != 1 {
			t.Errorf("message %d: %s", i, describe(m))
		}
	}
}

// A window in one write, larger than any buffer, arrives whole and in order.
func TestWindow(t *testing.T) {
	r := newRig(t, mqtt.Options{InFlight: 64 << 10})
	c := r.connect(d1)
	const n = 3000
	go func() {
		var stream []byte
		for i := range n {
			stream = append(stream, publish(events+"i="+fmt.Sprint(i), strings.Repeat("x", i%500), uint16(i+1))...)
		}
		_, _ = c.nc.Write(stream)
	}()
	for i := range n {
		c.expect(fmt.Sprintf("PUBACK %d", i+1))
	}
	for i, m := range r.log.wait(n) {
		if v, _ := m.Properties.Get("i"); v != fmt.Sprint(i) || len(m.Body) != i%500 {
			t.Fatalf("message %d: %s", i, describe(m))
		}
	}
}

// The reader stops while too much of a connection waits for the log.
func TestInFlightBound(t *testing.T) {
	r := newRig(t, mqtt.Options{InFlight: 64 << 10})
	c := r.connect(d1)
	r.log.setHold()
	const n, size = 100, 10_000
	go func() {
		for i := range n {
			if _, err := c.nc.Write(publish(events, strings.Repeat("x", size), uint16(i+1))); err != nil {
				return
			}
		}
	}()
	r.log.wait(1)
	other := r.connect(hub.ID{Device: "d2"}) // it is served meanwhile, held by nobody but the log
	other.send(ping)
	other.expect("PINGRESP")
	if got := len(r.log.wait(1)) * size; got > 64<<10 {
		t.Errorf("%d bytes in flight", got)
	}
	r.log.release(nil)
	for i := range n {
		c.expect(fmt.Sprintf("PUBACK %d", i+1))
	}
}

func TestLargestMessage(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	body := strings.Repeat("x", 256<<10)
	c.send(publish(events+"p="+strings.Repeat("y", 60_000), body, 1))
	c.expect("PUBACK 1")
	if m := r.log.wait(1)[0]; string(m.Body) != body || len(m.Properties[0].Value) != 60_000 {
		t.Error("message is damaged")
	}
	c.send(publish(events, body+"x", 2))
	c.expect("closed")
}

// Everything that IoT Hub does not document closes the connection.
func TestProtocolErrorsClose(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	tokens := map[hub.ID]string{d1: r.device(d1), m1: r.device(m1)}
	qos2 := mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: events, QoS: 2, ID: 1})
	for _, tt := range []struct {
		name  string
		id    hub.ID
		frame []byte
		cause string
	}{
		{"QoS 2", d1, qos2, "qos2"},
		{"topic of another device", d1, publish("devices/d2/messages/events/", "x", 1), "topic"},
		{"topic of a device whose id begins so", d1, publish("devices/d11/messages/events/", "x", 1), "topic"},
		{"topic that goes on", d1, publish("devices/d1/messages/eventsx", "x", 1), "topic"},
		{"topic of a module", d1, publish("devices/d1/modules/m1/messages/events/", "x", 1), "topic"},
		{"topic of its device, from a module", m1, publish("devices/d1/messages/events/", "x", 1), "topic"},
		{"cloud-to-device topic", d1, publish("devices/d1/messages/devicebound/", "x", 1), "topic"},
		{"foreign topic", d1, publish("sensors/temperature", "x", 1), "topic"},
		{"twin without $rid", d1, publish("$iothub/twin/GET/", "", 1), "rid"},
		{"twin with an empty $rid", d1, publish("$iothub/twin/GET/?$rid=", "", 1), "rid"},
		{"desired properties", d1, publish("$iothub/twin/PATCH/properties/desired/?$rid=1", "{}", 1), "topic"},
		{"method response without status", d1, publish("$iothub/methods/res/?$rid=1", "", 1), "rid"},
		{"method response with a status in words", d1, publish("$iothub/methods/res/ok/?$rid=1", "", 1), "rid"},
		{"bag that is not UTF-8", d1, publish(events+"a=%ff", "x", 1), "malformed"},
		{"bag with U+0000", d1, publish(events+"a=%00", "x", 1), "malformed"},
		{"bag without a name", d1, publish(events+"=a", "x", 1), "malformed"},
		{"topic that is not UTF-8", d1, []byte{0x30, 3, 0, 1, 0xff}, "malformed"},
		{"packet id 0", d1, []byte{0x32, 5, 0, 1, 't', 0, 0}, "malformed"},
		{"1 MB announced", d1, mqtt311.AppendHeader(nil, mqtt311.Header{Type: mqtt311.PUBLISH, Length: 1 << 20}), "too_large"},
		{"256 KB and one", d1, publish(events, strings.Repeat("x", 256<<10+1), 1), "too_large"},
		{"subscription to another device", d1, subscribe(1, 1, "devices/d2/messages/devicebound/#"), "filter"},
		{"subscription to everything", d1, subscribe(1, 1, "#"), "filter"},
		{"subscription with a wildcard for the device", d1, subscribe(1, 1, "devices/+/messages/devicebound/#"), "filter"},
		{"subscription to telemetry", d1, subscribe(1, 1, "devices/d1/messages/events/#"), "filter"},
		{"subscription of a module to its device", m1, subscribe(1, 1, "devices/d1/messages/devicebound/#"), "filter"},
		{"one good and one bad subscription", d1, subscribe(1, 1, "$iothub/methods/POST/#", "a/b"), "filter"},
		{"subscription with reserved flags", d1, []byte{0x80, 2, 0, 1}, "malformed"},
		{"CONNACK from a client", d1, []byte{0x20, 2, 0, 0}, "packet"},
		{"PUBREL", d1, []byte{0x62, 2, 0, 1}, "packet"},
		{"PINGRESP", d1, []byte{0xd0, 0}, "packet"},
		{"PINGREQ with a body", d1, []byte{0xc0, 1, 0}, "malformed"},
		{"reserved type", d1, []byte{0xf0, 0}, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := r.metric("weir_mqtt_protocol_errors_total", tt.cause)
			c := r.connectWith(tt.id, tokens[tt.id])
			c.t = t
			c.send(tt.frame)
			c.expect("closed")
			if got := r.metric("weir_mqtt_protocol_errors_total", tt.cause); got != before+1 {
				t.Errorf("protocol errors %s: %d, want %d", tt.cause, got, before+1)
			}
		})
	}
	if n := len(r.log.wait(0)); n != 0 {
		t.Errorf("%d messages were taken", n)
	}
}

// What came before a bad packet is acknowledged when it is durable, or not at
// all; it is not lost where it was taken.
func TestGoodBeforeBad(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(publish(events, "good", 1), publish("bad", "x", 2))
	if got := c.read(); got == "PUBACK 1" {
		c.expect("closed")
	} else if got != "closed" {
		t.Error(got)
	}
	if got := describe(r.log.wait(1)[0]); got != `d1 "good"` {
		t.Error(got)
	}
}
