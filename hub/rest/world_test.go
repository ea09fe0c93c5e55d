package rest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

// A world is a hub with its door.
type world struct {
	t        testing.TB
	hub      *hub.Hub
	log      *recorder
	policies *hub.Policies
	handler  http.Handler
}

// A recorder is a log whose records are durable when release says so, at once
// where hold is not set.
type recorder struct {
	mu   sync.Mutex
	hold bool
	msgs []telemetry.Message
	done []func(error)
}

func (r *recorder) Append(msgs []telemetry.Message, done func(error)) {
	r.mu.Lock()
	for i := range msgs {
		r.msgs = append(r.msgs, msgs[i].Clone())
	}
	if r.hold {
		r.done = append(r.done, done)
	}
	hold := r.hold
	r.mu.Unlock()
	if !hold {
		done(nil)
	}
}

// release makes all that is held durable, or refuses it.
func (r *recorder) release(err error) {
	r.mu.Lock()
	held := r.done
	r.done = nil
	r.mu.Unlock()
	for _, done := range held {
		done(err)
	}
}

func (r *recorder) messages() []telemetry.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.msgs
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, log: &recorder{}, policies: hub.NewPolicies()}
	registry := mem.New()
	h, err := hub.New(hub.Options{Registry: registry, Log: w.log, Policies: w.policies})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		_ = registry.Close()
	})
	w.hub, w.handler = h, New(h, Options{})
	return w
}

// create makes a device, or a module of one.
func (w *world) create(id hub.ID) *hub.Device {
	w.t.Helper()
	d, err := w.hub.PutDevice(context.Background(), &hub.Device{DeviceID: id.Device, ModuleID: id.Module}, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// token is the Authorization header of a role: a policy (owner is short for
// iothubowner), device:ID, module:ID/MODULE, or none, garbage, expired, forged.
func (w *world) token(role string) string {
	w.t.Helper()
	later := time.Now().Add(time.Hour)
	switch role {
	case "none":
		return ""
	case "garbage":
		return "Bearer x"
	case "owner":
		role = "iothubowner"
	case "forged":
		return sign(w.t, "localhost", hub.Policy{Name: "iothubowner", PrimaryKey: "Zm9yZ2VkZm9yZ2VkZm9yZ2Vk"}, later)
	case "expired":
		p, _ := w.policies.Policy("iothubowner")
		return sign(w.t, "localhost", p, time.Now().Add(-time.Hour))
	}
	kind, name, isDevice := strings.Cut(role, ":")
	if !isDevice {
		p, ok := w.policies.Policy(role)
		if !ok {
			w.t.Fatalf("no role %q", role)
		}
		return sign(w.t, "localhost", p, later)
	}
	device, module, _ := strings.Cut(name, "/")
	d, err := w.hub.Device(context.Background(), hub.ID{Device: device, Module: module})
	if err != nil {
		w.t.Fatal(err)
	}
	resource := "localhost/devices/" + device
	if kind == "module" {
		resource += "/modules/" + module
	}
	return sign(w.t, resource, hub.Policy{PrimaryKey: d.Authentication.SymmetricKey.PrimaryKey}, later)
}

func sign(t testing.TB, resource string, p hub.Policy, expires time.Time) string {
	t.Helper()
	token, err := sas.Sign(resource, string(p.PrimaryKey), p.Name, expires)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

type answer struct {
	*http.Response
	body []byte
}

// do sends a request as a role and returns the answer.
func (w *world) do(role, method, target, body string, headers http.Header) *answer {
	w.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for name, values := range headers {
		r.Header[name] = values
	}
	if token := w.token(role); token != "" {
		r.Header.Set("Authorization", token)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	// httptest keeps the case of names that Header.Get does not look for.
	canonical := http.Header{}
	for name, values := range res.Header {
		canonical[http.CanonicalHeaderKey(name)] = values
	}
	res.Header = canonical
	return &answer{res, b}
}
