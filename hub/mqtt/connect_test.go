package mqtt_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/need"
	"github.com/weir-iot/weir/internal/sas"
)

func TestConnectAnswers(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	token := r.device(d1)
	moduleToken := r.device(m1)
	disabledToken := r.device(hub.ID{Device: "off"})
	if _, err := r.hub.PutDevice(context.Background(), &hub.Device{DeviceID: "off", Status: "disabled"}, "*"); err != nil {
		t.Fatal(err)
	}
	d, err := r.hub.Device(context.Background(), d1)
	if err != nil {
		t.Fatal(err)
	}
	expired, err := sas.Sign(hostName+"/devices/d1", string(d.Authentication.SymmetricKey.PrimaryKey), "", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*mqtt311.Connect)
		want   string
	}{
		{"good", func(*mqtt311.Connect) {}, "CONNACK accepted"},
		{"good again: there is a session", func(*mqtt311.Connect) {}, "CONNACK accepted, session present"},
		{"clean session", func(p *mqtt311.Connect) { p.CleanSession = true }, "CONNACK accepted"},
		{"module", func(p *mqtt311.Connect) {
			*p = *connectPacket(m1, moduleToken)
		}, "CONNACK accepted"},
		{"last segment without ?", func(p *mqtt311.Connect) {
			p.CleanSession, p.Username = true, hostName+"/d1/api-version=2019-03-31&ClientVersion=x"
		}, "CONNACK accepted"},
		{"keys that nobody knows", func(p *mqtt311.Connect) {
			p.CleanSession, p.Username = true, hostName+"/d1/?auth-chain=x&api-version=1&y&model-id=dtmi:a;1"
		}, "CONNACK accepted"},
		{"another host", func(p *mqtt311.Connect) {
			p.CleanSession, p.Username = true, "contoso.azure-devices.net/d1/?api-version=2021-04-12"
		}, "CONNACK accepted"},
		{"client id of another device", func(p *mqtt311.Connect) { p.ClientID = "d2" }, "CONNACK identifier rejected"},
		{"no client id", func(p *mqtt311.Connect) { p.ClientID = "" }, "CONNACK identifier rejected"},
		{"client id of the device, user name of a module", func(p *mqtt311.Connect) {
			p.Username = hostName + "/d1/m1/?api-version=2021-04-12"
		}, "CONNACK identifier rejected"},
		{"no user name", func(p *mqtt311.Connect) {
			p.HasUsername, p.HasPassword = false, false
		}, "CONNACK bad user name or password"},
		{"no api-version", func(p *mqtt311.Connect) { p.Username = hostName + "/d1/?x=y" }, "CONNACK bad user name or password"},
		{"no token", func(p *mqtt311.Connect) { p.HasPassword = false }, "CONNACK not authorized"},
		{"bad token", func(p *mqtt311.Connect) {
			p.Password = bytes.Replace(p.Password, []byte("sig="), []byte("sig=A"), 1)
		}, "CONNACK not authorized"},
		{"expired token", func(p *mqtt311.Connect) { p.Password = []byte(expired) }, "CONNACK not authorized"},
		{"token of a device for its module", func(p *mqtt311.Connect) {
			*p = *connectPacket(m1, token)
		}, "CONNACK not authorized"},
		{"unknown device", func(p *mqtt311.Connect) {
			*p = *connectPacket(hub.ID{Device: "nobody"}, token)
		}, "CONNACK not authorized"},
		{"disabled device", func(p *mqtt311.Connect) {
			*p = *connectPacket(hub.ID{Device: "off"}, disabledToken)
		}, "CONNACK not authorized"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := connectPacket(d1, token)
			tt.change(p)
			c := r.dial()
			c.t = t
			c.send(mqtt311.AppendConnect(nil, p), ping)
			c.expect(tt.want)
			switch tt.want {
			case "CONNACK accepted", "CONNACK accepted, session present":
				c.expect("PINGRESP")
			default:
				c.expect("closed")
			}
		})
	}
}

func TestConnectUnavailable(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	token := r.device(d1)
	_ = r.hub.Close()
	c := r.dial()
	c.send(mqtt311.AppendConnect(nil, connectPacket(d1, token)))
	c.expect("CONNACK server unavailable")
	c.expect("closed")
}

// What comes instead of a CONNECT ends the connection, with an answer only
// where MQTT has one.
func TestBadFirstPacket(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	big := mqtt311.AppendHeader(nil, mqtt311.Header{Type: mqtt311.CONNECT, Length: 16<<10 + 1})
	for _, tt := range []struct {
		name, frame, answer, cause string
	}{
		{"MQTT 3.1", "100e00064d51497364700302000a0000", "CONNACK unacceptable protocol level", "malformed"},
		{"MQTT 5", "100d00044d5154540502000a000000", "CONNACK unacceptable protocol level", "malformed"},
		{"PUBACK", "40020001", "", "not_connect"},
		{"PINGREQ", "c000", "", "not_connect"},
		{"SUBSCRIBE announcing 256 MB", "82ffffff7f", "", "not_connect"},
		{"CONNECT announcing 256 MB", "10ffffff7f", "", "large_connect"},
		{"CONNECT announcing 16 KB and one", hex.EncodeToString(big), "", "large_connect"},
		{"an endless length", "10ffffffffff", "", "malformed"},
		{"HTTP", hex.EncodeToString([]byte("GET / HTTP/1.1\r\n\r\n")), "", "malformed"},
		{"TLS", "1603010200010001fc0303", "", "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame, err := hex.DecodeString(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			before := r.metric("weir_mqtt_protocol_errors_total", tt.cause)
			c := r.dial()
			c.t = t
			c.send(frame)
			if tt.answer != "" {
				c.expect(tt.answer)
			}
			c.expect("closed")
			if got := r.metric("weir_mqtt_protocol_errors_total", tt.cause); got != before+1 {
				t.Errorf("protocol errors %s: %d, want %d", tt.cause, got, before+1)
			}
		})
	}
}

func TestSecondConnectCloses(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	c.send(mqtt311.AppendConnect(nil, connectPacket(d1, "x")))
	c.expect("closed")
}

func TestConnectTimeout(t *testing.T) {
	r := newRig(t, mqtt.Options{ConnectTimeout: time.Millisecond})
	c := r.dial()
	c.expect("closed")
	if n := r.metric("weir_mqtt_connects_total", "timeout"); n != 1 {
		t.Error("timeouts counted:", n)
	}
}

// Half-open connections are bounded; those that authenticate make room.
func TestHalfOpenBound(t *testing.T) {
	r := newRig(t, mqtt.Options{HalfOpen: 1})
	token := r.device(d1)
	first := r.dial()
	first.send(mqtt311.AppendConnect(nil, connectPacket(d1, token))[:3])
	for r.metric("weir_mqtt_connections", "") == 0 {
		runtime.Gosched()
	}
	r.dial().expect("closed")
	first.send(mqtt311.AppendConnect(nil, connectPacket(d1, token))[3:], ping)
	first.expect("CONNACK accepted")
	first.expect("PINGRESP")
	r.connect(hub.ID{Device: "d2"})
	if n := r.metric("weir_mqtt_connects_total", "half_open"); n != 1 {
		t.Error("dropped:", n)
	}
}

// A newer connection of the same device wins.
func TestTakeover(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	token := r.device(d1)
	first := r.connectWith(d1, token)
	second := r.connectWith(d1, token)
	first.expect("closed")
	second.send(ping)
	second.expect("PINGRESP")
	for r.metric("weir_mqtt_disconnects_total", "replaced") == 0 {
		runtime.Gosched()
	}
}

// Rights that are taken away end the connection.
func TestDisabledDeviceIsCut(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	c := r.connect(d1)
	if _, err := r.hub.PutDevice(context.Background(), &hub.Device{DeviceID: "d1", Status: "disabled"}, "*"); err != nil {
		t.Fatal(err)
	}
	c.expect("closed")
}

// Memory of half-open connections grows with what they sent, not with what
// they announced: 2,000 that announce the largest CONNECT, 16 KB, and send half
// of the smallest buffer cost half of that each at most, goroutine and all: by
// measurement 6.6 to 6.8 KB. Those that announce more, such as 256 MB, are
// closed on sight: bench/idle.sh holds 10,000 of them against 64 MB.
func TestHalfOpenMemory(t *testing.T) {
	const sockets, perSocket = 2000, 8 << 10
	r := newRig(t, mqtt.Options{HalfOpen: sockets, ConnectTimeout: time.Minute})
	frame := mqtt311.AppendHeader(nil, mqtt311.Header{Type: mqtt311.CONNECT, Length: 16 << 10})
	frame = append(frame, make([]byte, 200)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for range sockets { // they wait in the backlog, so that the clients' side is not measured
		nc, err := net.DialTimeout("tcp", ln.Addr().String(), time.Second)
		need.That(t, err == nil, fmt.Sprintf("%d sockets at once: ulimit -n %d (%v)", sockets, 3*sockets, err))
		defer func() { _ = nc.Close() }()
		if _, err := nc.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	before := inUse()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.srv.Serve(ctx, ln) }()
	for r.metric("weir_mqtt_connections", "") < sockets {
		runtime.Gosched()
	}
	got := (inUse() - before) / sockets
	cancel()
	if err := <-served; err != nil {
		t.Error("Serve:", err)
	}
	t.Logf("%d bytes a connection", got)
	if got > perSocket && !raceDetector {
		t.Errorf("%d bytes a connection, want at most %d", got, perSocket)
	}
}

// inUse is the memory of heap and stacks after a collection.
func inUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}
