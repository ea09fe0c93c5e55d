package hub

import (
	"context"

	"github.com/weir-iot/weir/telemetry"
)

// A Session is a connected device or module.
type Session struct{ id ID }

// Connect authenticates a device or module and makes it the one live session of
// its ID: an older session is told to disconnect with ErrReplaced. A nil
// receiver makes a session without a connection (device HTTPS): it replaces
// nobody, and cloud-to-device messages are pulled with Receive.
// The error is an *Error: ErrUnauthorized for every bad credential, unknown or
// disabled device alike.
func (h *Hub) Connect(ctx context.Context, c Credential, r Receiver) (*Session, error) {
	return nil, ErrUnavailable
}

// Send stamps the messages with the session's identity and appends them to the
// log, as eventlog.Appender does: done runs once, in call order, after they are
// durable or refused. Send blocks while the hub's byte budget is full, which is
// what pushes back on devices; it fails at once when the session is closed.
// The log borrows msgs until done.
func (s *Session) Send(ctx context.Context, msgs []telemetry.Message, done func(error)) {
	done(ErrUnavailable)
}

// ID returns who is connected.
func (s *Session) ID() ID { return s.id }

// Subscribe starts feeds (Unsubscribe stops them). Cloud-to-device messages
// that wait are handed to the Receiver at once.
func (s *Session) Subscribe(ctx context.Context, f Feed) error { return ErrUnavailable }

// Unsubscribe stops feeds; messages handed out and not settled return to the queue.
func (s *Session) Unsubscribe(ctx context.Context, f Feed) error { return ErrUnavailable }

// Receive locks and returns the oldest waiting cloud-to-device message, nil if
// there is none.
func (s *Session) Receive(ctx context.Context) (*CloudMessage, error) { return nil, ErrUnavailable }

// Complete removes a locked message; Reject dead-letters it; Abandon returns it
// to the queue. ErrLockLost if the lock is no longer held.
func (s *Session) Complete(ctx context.Context, lockToken string) error {
	return ErrUnavailable
}

// Reject: see Complete.
func (s *Session) Reject(ctx context.Context, lockToken string) error {
	return ErrUnavailable
}

// Abandon: see Complete.
func (s *Session) Abandon(ctx context.Context, lockToken string) error {
	return ErrUnavailable
}

// Respond answers a direct method call; an unknown rid is ignored (it timed out).
func (s *Session) Respond(rid string, status int, payload []byte) {}

// Close ends the session: what it held locked returns to the queue, and the
// device is disconnected unless a newer session took over. Close twice is fine.
func (s *Session) Close() {}
