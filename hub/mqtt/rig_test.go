package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

// A heldLog is a log whose durability the test decides: while it is held,
// callbacks wait for release.
type heldLog struct {
	mu      sync.Mutex
	changed sync.Cond
	got     []telemetry.Message
	hold    bool
	held    []func(error)
	fail    error
}

func newHeldLog() *heldLog {
	l := &heldLog{}
	l.changed.L = &l.mu
	return l
}

func (l *heldLog) Append(msgs []telemetry.Message, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range msgs {
		l.got = append(l.got, msgs[i].Clone())
	}
	switch {
	case l.hold:
		l.held = append(l.held, done)
	default:
		done(l.fail)
	}
	l.changed.Broadcast()
}

// wait waits until n messages came, and returns all.
func (l *heldLog) wait(n int) []telemetry.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.got) < n {
		l.changed.Wait()
	}
	return slices.Clone(l.got)
}

// release answers everything that is held with err, and holds no more.
func (l *heldLog) release(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = false
	for _, done := range l.held {
		done(err)
	}
	l.held = nil
}

func (l *heldLog) setHold() {
	l.mu.Lock()
	l.hold = true
	l.mu.Unlock()
}

// A rig is a server on a real hub.
type rig struct {
	t       testing.TB
	hub     *hub.Hub
	log     *heldLog
	srv     *mqtt.Server
	addr    string
	metrics *prometheus.Registry
}

const hostName = "hub.test"

func newRig(t testing.TB, opt mqtt.Options) *rig {
	t.Helper()
	return newRigOn(t, opt, mem.New())
}

func newRigOn(t testing.TB, opt mqtt.Options, registry hub.Registry) *rig {
	t.Helper()
	r := &rig{t: t, log: newHeldLog(), metrics: prometheus.NewRegistry()}
	var err error
	r.hub, err = hub.New(hub.Options{Registry: registry, Log: r.log, Policies: hub.NewPolicies(), HostName: hostName})
	if err != nil {
		t.Fatal(err)
	}
	opt.Metrics = r.metrics
	r.srv = mqtt.NewServer(r.hub, opt)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- r.srv.Serve(ctx, ln) }()
	t.Cleanup(func() {
		r.log.release(errors.New("test is over"))
		cancel()
		if err := <-served; err != nil && !errors.Is(err, mqtt.ErrServerClosed) {
			t.Error("Serve:", err)
		}
		if err := r.srv.Shutdown(context.Background()); err != nil {
			t.Error("Shutdown:", err)
		}
		if n := r.metric("weir_mqtt_panics_total", ""); n != 0 {
			t.Error("panics:", n)
		}
		if n := r.metric("weir_mqtt_connections", ""); n != 0 {
			t.Error("connections left:", n)
		}
		_ = r.hub.Close()
	})
	return r
}

// metric returns a metric's value; label is the value of its only label.
func (r *rig) metric(name, label string) int {
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return int(m.GetCounter().GetValue() + m.GetGauge().GetValue())
			}
		}
	}
	return 0
}

// device registers a device or module and returns its token.
func (r *rig) device(id hub.ID) (token string) {
	r.t.Helper()
	ctx := context.Background()
	d, err := r.hub.PutDevice(ctx, &hub.Device{DeviceID: id.Device, ModuleID: id.Module}, "")
	if err != nil {
		r.t.Fatal(err)
	}
	resource := hostName + "/devices/" + id.Device
	if id.Module != "" {
		resource += "/modules/" + id.Module
	}
	token, err = sas.Sign(resource, string(d.Authentication.SymmetricKey.PrimaryKey), "", time.Now().Add(time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// connectPacket is what a device SDK sends.
func connectPacket(id hub.ID, token string) *mqtt311.Connect {
	return &mqtt311.Connect{
		ClientID: id.String(), KeepAlive: 60,
		Username: hostName + "/" + id.String() + "/?api-version=2021-04-12", HasUsername: true,
		Password: []byte(token), HasPassword: true,
	}
}

// A client is a raw MQTT client: it sends what the test says.
type client struct {
	t   testing.TB
	nc  net.Conn
	buf []byte
}

func (r *rig) dial() *client {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second)) // of a test that hangs
	return &client{t: r.t, nc: nc}
}

// connect registers id, connects and expects to be accepted.
func (r *rig) connect(id hub.ID, change ...func(*mqtt311.Connect)) *client {
	r.t.Helper()
	return r.connectWith(id, r.device(id), change...)
}

func (r *rig) connectWith(id hub.ID, token string, change ...func(*mqtt311.Connect)) *client {
	r.t.Helper()
	p := connectPacket(id, token)
	for _, f := range change {
		f(p)
	}
	c := r.dial()
	c.send(mqtt311.AppendConnect(nil, p))
	c.expect("CONNACK accepted", "CONNACK accepted, session present")
	return c
}

func (c *client) send(frames ...[]byte) {
	c.t.Helper()
	if _, err := c.nc.Write(bytes.Join(frames, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next packet as text, "closed" at the end.
func (c *client) read() string {
	c.t.Helper()
	for {
		h, n, err := mqtt311.ParseHeader(c.buf)
		if err != nil {
			c.t.Fatal(err)
		}
		if n > 0 && len(c.buf) >= n+h.Length {
			body := c.buf[n : n+h.Length]
			c.buf = c.buf[n+h.Length:]
			return text(c.t, h, body)
		}
		chunk := make([]byte, 4096)
		m, err := c.nc.Read(chunk)
		if m == 0 && err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				c.t.Fatal("nothing came: ", err)
			}
			if len(c.buf) > 0 {
				c.t.Fatalf("part of a packet, then %v: %x", err, c.buf)
			}
			return "closed"
		}
		c.buf = append(slices.Clone(c.buf), chunk[:m]...)
	}
}

// expect fails unless the next packet is one of wants; it returns it.
func (c *client) expect(wants ...string) string {
	c.t.Helper()
	got := c.read()
	if !slices.Contains(wants, got) {
		c.t.Fatalf("got %q, want %q", got, wants)
	}
	return got
}

// text is a packet of the server in words.
func text(t testing.TB, h mqtt311.Header, body []byte) string {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	switch h.Type {
	case mqtt311.CONNACK:
		p, err := mqtt311.ParseConnack(body)
		check(err)
		if p.SessionPresent {
			return "CONNACK " + p.Code.String() + ", session present"
		}
		return "CONNACK " + p.Code.String()
	case mqtt311.PUBLISH:
		p, err := mqtt311.ParsePublish(h.Flags, body)
		check(err)
		s := "PUBLISH " + p.Topic + " " + string(p.Payload)
		if p.QoS > 0 {
			s = fmt.Sprintf("PUBLISH QoS %d id %d %s %s", p.QoS, p.ID, p.Topic, p.Payload)
		}
		if p.Dup || p.Retain {
			s += " DUP/RETAIN"
		}
		return s
	case mqtt311.PUBACK:
		id, err := mqtt311.ParsePuback(body)
		check(err)
		return "PUBACK " + strconv.Itoa(int(id))
	case mqtt311.SUBACK:
		p, err := mqtt311.ParseSuback(body)
		check(err)
		return fmt.Sprintf("SUBACK %d %v", p.ID, p.Codes)
	case mqtt311.UNSUBACK:
		id, err := mqtt311.ParseUnsuback(body)
		check(err)
		return "UNSUBACK " + strconv.Itoa(int(id))
	default:
		return h.Type.String()
	}
}

func publish(topic, payload string, id uint16) []byte {
	p := mqtt311.Publish{Topic: topic, Payload: []byte(payload), ID: id}
	if id > 0 {
		p.QoS = 1
	}
	return mqtt311.AppendPublish(nil, &p)
}

func subscribe(id uint16, qos uint8, filters ...string) []byte {
	var subs []mqtt311.Subscription
	for _, f := range filters {
		subs = append(subs, mqtt311.Subscription{Filter: f, QoS: qos})
	}
	return mqtt311.AppendSubscribe(nil, id, subs...)
}

var ping = mqtt311.AppendPingreq(nil)

var (
	d1 = hub.ID{Device: "d1"}
	m1 = hub.ID{Device: "d1", Module: "m1"}
)

const events = "devices/d1/messages/events/"

// describe is a message in words.
func describe(m telemetry.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", m.DeviceID)
	if m.ModuleID != "" {
		fmt.Fprintf(&b, "/%s", m.ModuleID)
	}
	for _, f := range []struct{ name, value string }{{"mid", m.MessageID}, {"ct", m.ContentType}, {"ce", m.Encoding}} {
		if f.value != "" {
			fmt.Fprintf(&b, " %s=%s", f.name, f.value)
		}
	}
	for _, p := range m.System {
		if p.Key != telemetry.AuthMethod && p.Key != telemetry.GenerationID {
			fmt.Fprintf(&b, " %s=%s", p.Key, p.Value)
		}
	}
	for _, p := range m.Properties {
		if p.Null {
			fmt.Fprintf(&b, " [%s]", p.Key)
		} else {
			fmt.Fprintf(&b, " [%s=%s]", p.Key, p.Value)
		}
	}
	fmt.Fprintf(&b, " %q", m.Body)
	return b.String()
}
