package mqtt

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

func TestParseUsername(t *testing.T) {
	d := func(host, device, module, model, client string) username {
		return username{host, hub.ID{Device: device, Module: module}, model, client}
	}
	for _, tt := range []struct {
		in   string
		want username
	}{
		{"localhost/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(node)", d("localhost", "d1", "", "", "azure-iot-device/1.18.4 (node)")},
		{"localhost/d1/m1/?api-version=2021-04-12&model-id=dtmi:com:example:Thermostat;1&DeviceClientType=x", d("localhost", "d1", "m1", "dtmi:com:example:Thermostat;1", "x")},
		{"h/d1/?api-version=2020-09-30&DeviceClientType=p&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1", d("h", "d1", "", "dtmi:com:example:Thermostat;1", "p")},
		{"h/d1/api-version=2016-11-14&DeviceClientType=iothubclient%2f1.3", d("h", "d1", "", "", "iothubclient/1.3")},
		{"h/d1/m1/api-version=2018-06-30", d("h", "d1", "m1", "", "")},
		{"h/d1/?DeviceClientType=a/b&api-version=x", d("h", "d1", "", "", "a/b")},
	} {
		if got, err := parseUsername(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
	}
	for _, in := range []string{"", "h", "h/", "h/d1", "/d1/?api-version=1", "h//?api-version=1", "h/d1/", "h/d1/?", "h/d1/?x=1", "h/d1//?api-version=1", "h/d1/m1/x/?api-version=1"} {
		if got, err := parseUsername(in); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

func FuzzUsername(f *testing.F) {
	f.Add("localhost/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4")
	f.Add("h/d1/m1/api-version=2018-06-30")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := parseUsername(s); err == nil && (u.host == "" || u.id.Device == "") {
			t.Errorf("%q: %+v", s, u)
		}
	})
}

type ackLog struct{}

func (ackLog) Append(_ []telemetry.Message, done func(error)) { done(nil) }

// FuzzConnection sends what it likes, in two pieces, on an authenticated
// connection: nothing panics, leaks a buffer's count or hangs.
func FuzzConnection(f *testing.F) {
	h, err := hub.New(hub.Options{Registry: mem.New(), Log: ackLog{}, Policies: hub.NewPolicies()})
	if err != nil {
		f.Fatal(err)
	}
	d, err := h.PutDevice(f.Context(), &hub.Device{DeviceID: "d1"}, "")
	if err != nil {
		f.Fatal(err)
	}
	token, err := sas.Sign("h/devices/d1", string(d.Authentication.SymmetricKey.PrimaryKey), "", time.Now().Add(24*time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	connect := mqtt311.AppendConnect(nil, &mqtt311.Connect{
		ClientID: "d1", HasUsername: true, Username: "h/d1/?api-version=1", HasPassword: true, Password: []byte(token),
	})
	add := func(cut int, frames ...[]byte) {
		var b []byte
		for _, frame := range frames {
			b = append(b, frame...)
		}
		f.Add(b, cut)
	}
	pub := func(topic, payload string, id uint16) []byte {
		return mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: topic, Payload: []byte(payload), QoS: 1, ID: id})
	}
	add(3, pub("devices/d1/messages/events/a=b&%24.ct=x", "1", 1), pub("devices/d1/messages/events/", "2", 2))
	add(0, mqtt311.AppendSubscribe(nil, 1, mqtt311.Subscription{Filter: "$iothub/twin/res/#"}), pub("$iothub/twin/GET/?$rid=1", " ", 2))
	add(9, pub("$iothub/twin/PATCH/properties/reported/?$rid=1", `{"a":1}`, 2), mqtt311.AppendPingreq(nil))
	add(1, pub("$iothub/methods/res/200/?$rid=1", "", 2), mqtt311.AppendPuback(nil, 1), mqtt311.AppendDisconnect(nil))
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		s := NewServer(h, Options{})
		server, client := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(context.Background(), server, "mqtt") }()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		_, err := client.Write(connect)
		if err != nil {
			t.Fatal(err)
		}
		cut = min(max(cut, 0), len(stream))
		if _, err := client.Write(stream[:cut]); err == nil {
			_, _ = client.Write(stream[cut:])
		}
		_ = client.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := s.Shutdown(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if s.halfOpen != 0 || len(s.conns) != 0 {
			t.Fatalf("left: %d half open, %d connections", s.halfOpen, len(s.conns))
		}
		if n := counterValue(s.metrics.panics); n != 0 {
			t.Fatal("panics:", n)
		}
	})
}

func counterValue(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m)
	return m.GetCounter().GetValue()
}
