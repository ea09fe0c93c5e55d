package hub_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

// fakeLog keeps messages; hold makes it keep their callbacks too, and full
// refuses so many appends.
type fakeLog struct {
	mu   sync.Mutex
	got  []telemetry.Message
	hold bool
	held []func(error)
	fail []error
}

func (l *fakeLog) Append(msgs []telemetry.Message, done func(error)) {
	l.mu.Lock()
	if len(l.fail) > 0 {
		err := l.fail[0]
		l.fail = l.fail[1:]
		l.mu.Unlock()
		done(err)
		return
	}
	for i := range msgs {
		l.got = append(l.got, msgs[i].Clone())
	}
	if l.hold {
		l.held = append(l.held, done)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	done(nil)
}

// release makes the oldest held append durable.
func (l *fakeLog) release() {
	l.mu.Lock()
	done := l.held[0]
	l.held = l.held[1:]
	l.mu.Unlock()
	done(nil)
}

func (l *fakeLog) bodies() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, m := range l.got {
		all = append(all, string(m.Body))
	}
	return strings.Join(all, " ")
}

// door records what the hub hands to a device, as text.
type door struct {
	mu     sync.Mutex
	events []string
	cloud  []*hub.CloudMessage
	calls  chan *hub.MethodCall
	busy   bool
	failed error
}

func newDoor() *door { return &door{calls: make(chan *hub.MethodCall, 2000)} }

func (d *door) note(format string, args ...any) {
	d.mu.Lock()
	if d.busy {
		d.failed = errors.New("two calls at once")
	}
	d.busy = true
	d.events = append(d.events, fmt.Sprintf(format, args...))
	d.mu.Unlock()
	d.mu.Lock()
	d.busy = false
	d.mu.Unlock()
}

func (d *door) CloudToDevice(m *hub.CloudMessage) {
	d.note("message %s", m.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cloud = append(d.cloud, m)
}
func (d *door) Desired(version int64, patch []byte) { d.note("desired %d %s", version, patch) }
func (d *door) Disconnect(reason error)             { d.note("disconnect %s", reason.(*hub.Error).Name) }
func (d *door) Invoke(c *hub.MethodCall)            { d.calls <- c }

// take returns what was recorded, and forgets it.
func (d *door) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	got := strings.Join(d.events, ", ")
	d.events = nil
	if d.failed != nil {
		return d.failed.Error()
	}
	return got
}

// last returns the newest message that was handed out.
func (d *door) last() *hub.CloudMessage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cloud[len(d.cloud)-1]
}

// bench is a hub with what stands around it.
type testHub struct {
	*hub.Hub
	t        testing.TB
	log      *fakeLog
	registry hub.Registry
	policies *hub.Policies
}

func newHub(t testing.TB, change ...func(*hub.Options)) *testHub {
	t.Helper()
	h := &testHub{t: t, log: &fakeLog{}, registry: mem.New(), policies: hub.NewPolicies()}
	o := hub.Options{Registry: h.registry, Log: h.log, Policies: h.policies}
	for _, f := range change {
		f(&o)
	}
	h.registry = o.Registry
	var err error
	if h.Hub, err = hub.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// device registers d1, or what is named.
func (h *testHub) device(id string) *hub.Device {
	h.t.Helper()
	name, module, _ := strings.Cut(id, "/")
	d, err := h.PutDevice(context.Background(), &hub.Device{DeviceID: name, ModuleID: module}, "")
	if err != nil {
		h.t.Fatalf("put %s: %v", id, err)
	}
	return d
}

// token is a token of d for an hour, as its SDK makes it.
func token(t testing.TB, d *hub.Device, life time.Duration) string {
	t.Helper()
	return sign(t, resource(d.ID()), string(d.Authentication.SymmetricKey.PrimaryKey), "", life)
}

func resource(id hub.ID) string {
	r := "localhost/devices/" + id.Device
	if id.Module != "" {
		r += "/modules/" + id.Module
	}
	return r
}

func sign(t testing.TB, resource, key, policy string, life time.Duration) string {
	t.Helper()
	text, err := sas.Sign(resource, key, policy, time.Now().Add(life))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// connect connects d with feeds.
func (h *testHub) connect(d *hub.Device, feeds hub.Feed) (*hub.Session, *door) {
	h.t.Helper()
	r := newDoor()
	s, err := h.Connect(context.Background(), hub.Credential{ID: d.ID(), Token: token(h.t, d, time.Hour)}, r)
	if err != nil {
		h.t.Fatalf("connect %s: %v", d.ID(), err)
	}
	if feeds != 0 {
		if err := s.Subscribe(context.Background(), feeds); err != nil {
			h.t.Fatalf("subscribe: %v", err)
		}
	}
	return s, r
}

func (h *testHub) wantEvents(r *door, want string) {
	h.t.Helper()
	if got := r.take(); got != want {
		h.t.Errorf("the device got %q, want %q", got, want)
	}
}

func (h *testHub) get(id hub.ID) *hub.Device {
	h.t.Helper()
	d, err := h.Device(context.Background(), id)
	if err != nil {
		h.t.Fatalf("device %s: %v", id, err)
	}
	return d
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("got %v, want %v", err, want)
	}
}

var certificate = &x509.Certificate{Raw: []byte("a certificate")}
