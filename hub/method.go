package hub

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// A MethodCall is a direct method on its way to a device.
type MethodCall struct {
	RequestID string
	Name      string
	Payload   []byte // JSON or empty
}

// A MethodRequest is what a service asks for.
type MethodRequest struct {
	Name            string
	Payload         json.RawMessage // may be nil
	ConnectTimeout  time.Duration   // wait this long for the device to connect; 0: it must be connected
	ResponseTimeout time.Duration   // 0: 30 s
}

// A MethodResponse is what the device answered.
type MethodResponse struct {
	Status  int
	Payload json.RawMessage // may be nil
}

// Limits of direct methods in time and name. IoT Hub's documents name both
// 300 s and 3,600 s as the longest wait; the longer one is accepted.
const (
	methodTimeout    = 30 * time.Second
	methodTimeoutMin = 5 * time.Second
	methodTimeoutMax = time.Hour
	methodNameMax    = 100 // bytes
)

// answer is what becomes of a call.
type answer struct {
	status  int
	payload []byte
	err     error
}

// Invoke calls a direct method. ErrDeviceNotOnline, ErrGatewayTimeout, ErrArgument.
func (h *Hub) Invoke(ctx context.Context, id ID, r MethodRequest) (*MethodResponse, error) {
	response, err := h.tryInvoke(ctx, id, r)
	if e, ok := err.(*Error); ok {
		h.metrics.methods.WithLabelValues(e.Name).Inc()
	} else {
		h.metrics.methods.WithLabelValues("answered").Inc()
	}
	return response, err
}

func (h *Hub) tryInvoke(ctx context.Context, id ID, r MethodRequest) (*MethodResponse, error) {
	if err := r.check(h.limits.MethodPayload); err != nil {
		return nil, err
	}
	if _, _, err := h.identity(ctx, id); err != nil {
		return nil, err
	}
	s, err := h.awaitOnline(ctx, id, r.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	call := &MethodCall{RequestID: strconv.FormatUint(h.requests.Add(1), 16), Name: r.Name, Payload: slices.Clone(r.Payload)}
	answered := make(chan answer, 1)
	if err := s.expect(call.RequestID, answered); err != nil {
		return nil, err
	}
	defer h.forget(s, call.RequestID)
	if !s.call(func(r Receiver) { r.Invoke(call) }) {
		return nil, ErrDeviceNotOnline
	}
	late := time.NewTimer(r.ResponseTimeout)
	defer late.Stop()
	select {
	case a := <-answered:
		return a.response(h.limits.MethodPayload)
	case <-late.C:
		return nil, ErrGatewayTimeout.With("the device did not answer in %v", r.ResponseTimeout)
	case <-ctx.Done():
		return nil, ErrGatewayTimeout.With("the request was given up")
	}
}

func (r *MethodRequest) check(maxPayload int) error {
	if r.ResponseTimeout == 0 {
		r.ResponseTimeout = methodTimeout
	}
	switch {
	case r.Name == "" || len(r.Name) > methodNameMax:
		return ErrArgument.With("methodName must have 1 to %d bytes", methodNameMax)
	case r.ResponseTimeout < methodTimeoutMin || r.ResponseTimeout > methodTimeoutMax:
		return ErrArgument.With("responseTimeoutInSeconds must be from %d to %d", methodTimeoutMin/time.Second, methodTimeoutMax/time.Second)
	case r.ConnectTimeout < 0 || r.ConnectTimeout > r.ResponseTimeout:
		return ErrArgument.With("connectTimeoutInSeconds must be from 0 to responseTimeoutInSeconds")
	case len(r.Payload) > maxPayload:
		return ErrTooLarge.With("the payload has %d bytes, %d are allowed", len(r.Payload), maxPayload)
	case len(r.Payload) > 0 && !json.Valid(r.Payload):
		return ErrArgument.With("the payload is not JSON")
	}
	for i := range len(r.Name) {
		if c := r.Name[i]; !idByte(c) && c != '$' {
			return ErrArgument.With("methodName has the character %q: it travels in an MQTT topic", c)
		}
	}
	return nil
}

// response makes the answer JSON: what is not becomes a string.
func (a *answer) response(maxPayload int) (*MethodResponse, error) {
	if a.err != nil {
		return nil, a.err
	}
	if len(a.payload) > maxPayload {
		return nil, ErrTooLarge.With("the device's answer has %d bytes, %d are allowed", len(a.payload), maxPayload)
	}
	r := &MethodResponse{Status: a.status, Payload: a.payload}
	if len(a.payload) == 0 {
		r.Payload = nil
	} else if !json.Valid(a.payload) {
		text, err := json.Marshal(string(a.payload))
		if err != nil {
			return nil, ErrServer
		}
		r.Payload = text
	}
	return r, nil
}

// awaited lets callers wait for a device.
type awaited struct {
	online  chan struct{} // closed when it takes methods
	waiters int
}

// awaitOnline returns the session of id that takes methods, and waits for it
// up to timeout.
func (h *Hub) awaitOnline(ctx context.Context, id ID, timeout time.Duration) (*Session, error) {
	var late <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		late = t.C
	}
	for {
		w := h.await(id)
		if s := h.session(id); s != nil && s.wants(FeedMethods) {
			h.leave(id, w)
			return s, nil
		}
		if late == nil {
			h.leave(id, w)
			return nil, ErrDeviceNotOnline
		}
		select {
		case <-w.online:
			h.leave(id, w)
		case <-late:
			h.leave(id, w)
			return nil, ErrDeviceNotOnline
		case <-ctx.Done():
			h.leave(id, w)
			return nil, ErrDeviceNotOnline.With("the request was given up")
		}
	}
}

func (h *Hub) await(id ID) *awaited {
	sh := h.shard(id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	w := sh.online[id]
	if w == nil {
		w = &awaited{online: make(chan struct{})}
		if sh.online == nil {
			sh.online = map[ID]*awaited{}
		}
		sh.online[id] = w
	}
	w.waiters++
	return w
}

func (h *Hub) leave(id ID, w *awaited) {
	sh := h.shard(id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if w.waiters--; w.waiters == 0 && sh.online[id] == w {
		delete(sh.online, id)
	}
}

// announceOnline wakes those who wait for id.
func (h *Hub) announceOnline(id ID) {
	sh := h.shard(id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if w := sh.online[id]; w != nil {
		close(w.online)
		delete(sh.online, id)
	}
}

// expect notes a call that the device is to answer.
func (s *Session) expect(rid string, answered chan<- answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended.Load() != nil {
		return ErrDeviceNotOnline
	}
	if len(s.pending) >= s.hub.limits.MethodsPending {
		return ErrThrottled.With("%d direct methods of this device wait for an answer", len(s.pending))
	}
	if s.pending == nil {
		s.pending = map[string]chan<- answer{}
	}
	s.pending[rid] = answered
	return nil
}

// forget drops a call that was answered or given up, wherever it moved to.
func (h *Hub) forget(s *Session, rid string) {
	s.take(rid)
	if now := h.session(s.id); now != nil && now != s {
		now.take(rid)
	}
}

func (s *Session) take(rid string) chan<- answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	answered := s.pending[rid]
	delete(s.pending, rid)
	if len(s.pending) == 0 {
		s.pending = nil
	}
	return answered
}

// Respond answers a direct method call; an unknown rid is ignored (it timed
// out). payload is copied.
func (s *Session) Respond(rid string, status int, payload []byte) {
	if s.alive() != nil {
		return
	}
	if answered := s.take(rid); answered != nil {
		answered <- answer{status: status, payload: slices.Clone(payload)} // buffered, and sent once
	}
}

// adopt takes over the unanswered calls of the session that s replaces: SDKs
// renew their token by connecting anew, in the middle of a call too.
func (s *Session) adopt(old *Session) {
	old.mu.Lock()
	defer old.mu.Unlock() // held to the end, so that forget finds a call in one of both
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending, old.pending = old.pending, nil // nobody knows s yet but who found it as the live session, and that expects later
}

// abandonCalls fails what the device cannot answer any more.
func (s *Session) abandonCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, answered := range s.pending {
		answered <- answer{err: ErrDeviceNotOnline.With("the device disconnected before it answered")}
	}
	s.pending = nil
}
