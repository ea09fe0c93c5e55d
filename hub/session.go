package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/telemetry"
)

// A Session is a connected device or module. Its methods are safe for
// concurrent use, but the order of Sends is the order of calls.
type Session struct {
	hub      *Hub
	id       ID
	receiver Receiver             // nil: no connection
	proof    proof                // what it showed; when that is withdrawn, the session ends
	stamps   telemetry.Properties // appended to every message; without spare capacity

	connectedAt int64        // Unix milliseconds
	active      atomic.Int64 // Unix milliseconds
	flushed     int64        // value of active that was written; of flushActivity alone
	feeds       atomic.Uint32
	ended       atomic.Pointer[Error] // why; nil while it lives

	calls sync.Mutex // held around calls of receiver

	mu      sync.Mutex
	pending map[string]chan<- answer // unanswered methods by request id; nil if there are none
}

// Connect authenticates a device or module and makes it the one live session of
// its ID: an older session is told to disconnect with ErrReplaced. A nil
// receiver makes a session without a connection (device HTTPS), for one request:
// it replaces nobody, and cloud-to-device messages are pulled with Receive.
// The error is an *Error: ErrUnauthorized for every bad credential, unknown or
// disabled device alike.
func (h *Hub) Connect(ctx context.Context, c Credential, r Receiver) (*Session, error) {
	s, err := h.admit(ctx, c, r)
	if err == nil && c.ModelID != "" {
		if err = h.announceModel(ctx, c.ID, c.ModelID); err != nil {
			s.Close()
		}
	}
	if err != nil {
		h.metrics.connects.WithLabelValues("refused").Inc()
		return nil, err
	}
	h.metrics.connects.WithLabelValues("accepted").Inc()
	return s, nil
}

// admit holds the device's lock, so that rights that are taken away meanwhile
// find the session.
func (h *Hub) admit(ctx context.Context, c Credential, r Receiver) (*Session, error) {
	if h.closed.Load() {
		return nil, ErrUnavailable
	}
	l := h.lock(c.ID.Device)
	l.RLock()
	defer l.RUnlock()
	d, p, err := h.authenticate(ctx, c)
	if err != nil {
		return nil, err
	}
	now := h.now().UnixMilli()
	s := &Session{hub: h, id: d.ID(), receiver: r, proof: p, connectedAt: now, stamps: p.stamps(d, c.ModelID)}
	s.active.Store(now)
	if r == nil {
		return s, nil
	}
	old, err := h.enlist(s)
	if err != nil {
		return nil, err
	}
	if old != nil {
		s.adopt(old)
		old.end(ErrReplaced, true)
	}
	return s, nil
}

// ID returns who is connected.
func (s *Session) ID() ID { return s.id }

// Expires is when the session's token expires; the zero time with a certificate.
func (s *Session) Expires() time.Time { return s.proof.expires }

// Subscribe starts feeds (Unsubscribe stops them). Cloud-to-device messages
// that wait are handed to the Receiver at once, before Subscribe returns.
func (s *Session) Subscribe(ctx context.Context, f Feed) error {
	if err := s.alive(); err != nil {
		return err
	}
	s.feeds.Or(uint32(f))
	if f&FeedMethods != 0 {
		s.hub.announceOnline(s.id)
	}
	if f&FeedCloudToDevice != 0 {
		return s.hub.deliver(ctx, s.id.Device)
	}
	return nil
}

// Unsubscribe stops feeds; messages handed out and not settled return to the queue.
func (s *Session) Unsubscribe(ctx context.Context, f Feed) error {
	if err := s.alive(); err != nil {
		return err
	}
	s.feeds.And(^uint32(f))
	if f&FeedCloudToDevice != 0 {
		s.hub.release(s)
	}
	return nil
}

// Close ends the session: what it held locked returns to the queue, and the
// device is disconnected unless a newer session took over. Close twice is fine.
func (s *Session) Close() { s.end(errClosed, false) }

// errClosed is why a session ended that its door closed.
var errClosed = &Error{503, 503001, "SessionClosed", "the session is closed"}

// end ends the session once. tell says that its door does not know yet.
func (s *Session) end(reason *Error, tell bool) {
	if !s.ended.CompareAndSwap(nil, reason) {
		return
	}
	s.hub.withdraw(s)
	s.abandonCalls()
	s.hub.release(s)
	if s.receiver == nil {
		return
	}
	s.hub.metrics.ended.WithLabelValues(reason.Name).Inc()
	if tell {
		s.calls.Lock()
		defer s.calls.Unlock()
		s.receiver.Disconnect(reason)
	}
}

// call runs f on the receiver unless the session has ended.
func (s *Session) call(f func(Receiver)) bool {
	s.calls.Lock()
	defer s.calls.Unlock()
	if s.ended.Load() != nil {
		return false
	}
	f(s.receiver)
	return true
}

// alive says why the session can do nothing more, and notes that it was active.
func (s *Session) alive() error {
	if err := s.ended.Load(); err != nil {
		return err
	}
	now := s.hub.now()
	if s.expired(now) {
		return ErrExpired
	}
	s.touch(now.UnixMilli())
	return nil
}

func (s *Session) expired(now time.Time) bool {
	return !s.proof.expires.IsZero() && !now.Before(s.proof.expires)
}

// wants says whether s takes f: not in the moment between its token's end and
// its own.
func (s *Session) wants(f Feed) bool {
	return s.ended.Load() == nil && s.feeds.Load()&uint32(f) != 0 && !s.expired(s.hub.now())
}

// touch moves the time of the last activity forward. Two at the same time may
// leave the older one, by a millisecond.
func (s *Session) touch(ms int64) {
	if ms > s.active.Load() {
		s.active.Store(ms)
	}
}

func (s *Session) lastActive() time.Time { return fromMillis(s.active.Load()) }

func (s *Session) activity() Activity { return Activity{s.lastActive(), fromMillis(s.connectedAt)} }
