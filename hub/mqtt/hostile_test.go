package mqtt_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/telemetry"
)

// A request id that fits its topic, but not the answer's, is the device's
// mistake.
func TestLongRequestID(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	token := r.device(d1)
	for _, topic := range []string{"$iothub/twin/GET/?$rid=", "$iothub/twin/PATCH/properties/reported/?$rid="} {
		c := r.connectWith(d1, token)
		c.send(publish(topic+strings.Repeat("x", 65535-len(topic)), "{}", 0))
		c.expect("closed")
	}
	if n := r.metric("weir_mqtt_protocol_errors_total", "rid"); n != 2 {
		t.Error("counted:", n)
	}
	c := r.connectWith(d1, token)
	rid := strings.Repeat("x", 1024)
	c.send(publish("$iothub/twin/GET/?$rid="+rid, "", 0))
	c.expect("PUBLISH $iothub/twin/res/200/?$rid=" + rid + ` {"desired":{"$version":1},"reported":{"$version":1}}`)
}

// A message that no MQTT packet holds does not stay in the queue as if the
// device might acknowledge it: it is rejected, and its sender is told.
func TestUndeliverableMessageIsRejected(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(subscribe(1, 1, devicebound))
	c.expect("SUBACK 1 [1]")
	r.sendToDevice(d1, &hub.CloudMessage{Properties: telemetry.Properties{{Key: "p", Value: strings.Repeat("%", 40_000)}}})
	for {
		d, err := r.hub.Device(t.Context(), d1)
		if err != nil {
			t.Fatal(err)
		}
		if d.CloudToDeviceMessageCount == 0 {
			break
		}
		runtime.Gosched()
	}
	c.send(ping)
	c.expect("PINGRESP")
}
