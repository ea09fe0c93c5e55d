package device

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// A Message is telemetry on its way to the hub.
type Message struct {
	ID            string // stays the same when the message is sent again; "": the client makes one
	CorrelationID string
	UserID        string
	ContentType   string // application/json lets hubs route by the body
	Encoding      string // utf-8 …, with the content type
	Subject       string // component of a digital twin, dt-subject
	Output        string // of a module
	Created       time.Time
	Properties    telemetry.Properties // for routing, in order
	Body          []byte
}

// Send hands a message to the hub and waits until the hub has acknowledged it.
// When ctx ends first the message stays on its way, and may still arrive.
func (c *Client) Send(ctx context.Context, m Message) error {
	w := c.waiters.Get().(*waiter)
	c.SendAsync(ctx, m, w.done)
	select {
	case err := <-w.result:
		c.waiters.Put(w)
		return err
	case <-ctx.Done():
		return fmt.Errorf("device: message not acknowledged yet: %w", ctx.Err())
	}
}

// A waiter turns a callback into something to wait for; its callback is made
// once, so that Send allocates nothing.
type waiter struct {
	result chan error
	done   func(error)
}

func newWaiter() any {
	w := &waiter{result: make(chan error, 1)}
	w.done = func(err error) { w.result <- err }
	return w
}

// SendBatch sends the messages in order, as many at a time as the window lets,
// and waits for all. IoT Hub's MQTT has no batches: each stays a message of its
// own. The error is the first; messages behind it may have arrived.
func (c *Client) SendBatch(ctx context.Context, msgs []Message) error {
	results := make(chan error, len(msgs))
	for i := range msgs {
		c.SendAsync(ctx, msgs[i], func(err error) { results <- err })
	}
	var first error
	for range msgs {
		select {
		case err := <-results:
			if first == nil {
				first = err
			}
		case <-ctx.Done():
			return fmt.Errorf("device: batch not acknowledged yet: %w", ctx.Err())
		}
	}
	return first
}

// SendAsync hands a message over and returns as soon as it is in the window;
// while the window is full it waits, until ctx ends. done runs exactly once,
// with nil when the hub has acknowledged the message; it must not block, nor
// send: room for that comes only when it has returned. The message is copied: its parts may be
// reused when SendAsync returns.
func (c *Client) SendAsync(ctx context.Context, m Message, done func(error)) {
	n := m.size()
	if n > MaxMessage {
		done(ErrTooLarge)
		return
	}
	for {
		c.mu.Lock()
		if c.closing {
			c.mu.Unlock()
			c.handOn()
			done(ErrClosed)
			return
		}
		if c.window.room(n) {
			break
		}
		c.mu.Unlock()
		select {
		case <-c.space:
		case <-ctx.Done():
			done(fmt.Errorf("device: window is full: %w", ctx.Err()))
			return
		case <-c.ctx.Done():
			done(ErrClosed)
			return
		}
	}
	err := c.enter(&m, done)
	more := c.window.room(0)
	c.mu.Unlock()
	if err != nil {
		done(err)
	}
	if more {
		c.handOn()
	}
	c.kick()
}

// handOn wakes one sender that waits for room.
func (c *Client) handOn() {
	select {
	case c.space <- struct{}{}:
	default:
	}
}

// enter encodes m into the window, which has room; c.mu is held.
func (c *Client) enter(m *Message, done func(error)) error {
	c.scratch = append(c.scratch[:0], c.topic...)
	c.scratch = m.appendBag(c.scratch, c.prefix, c.window.tail)
	if len(c.scratch) > mqtt311.MaxString {
		return fmt.Errorf("%w (the properties alone exceed a topic's 64 KB)", ErrTooLarge)
	}
	topic := unsafe.String(unsafe.SliceData(c.scratch), len(c.scratch)) // copied before scratch is used again
	c.window.push(done, func(b []byte, id uint16) []byte {
		return mqtt311.AppendPublish(b, &mqtt311.Publish{Topic: topic, Payload: m.Body, ID: id, QoS: 1})
	})
	c.stats.sent.Add(1)
	return nil
}

// size is what counts for MaxMessage: body and properties, not percent-encoded.
func (m *Message) size() int {
	n := len(m.ID) + len(m.CorrelationID) + len(m.UserID) + len(m.ContentType) + len(m.Encoding) +
		len(m.Subject) + len(m.Output) + len(m.Body)
	for i := range m.Properties {
		n += len(m.Properties[i].Key) + len(m.Properties[i].Value)
	}
	return n
}

// appendBag appends the property bag, system properties first. A message
// without an id gets prefix and n.
func (m *Message) appendBag(b []byte, prefix string, n uint64) []byte {
	b = append(b, "%24.mid="...)
	if m.ID != "" {
		b = mqtt311.AppendEscaped(b, m.ID)
	} else {
		b = strconv.AppendUint(append(b, prefix...), n, 10)
	}
	b = appendSystem(b, "&%24.cid=", m.CorrelationID)
	b = appendSystem(b, "&%24.uid=", m.UserID)
	b = appendSystem(b, "&%24.ct=", m.ContentType)
	b = appendSystem(b, "&%24.ce=", m.Encoding)
	b = appendSystem(b, "&%24.sub=", m.Subject)
	b = appendSystem(b, "&%24.on=", m.Output)
	if !m.Created.IsZero() {
		b = appendSystem(b, "&%24.ctime=", m.Created.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	for _, p := range m.Properties {
		b = mqtt311.AppendPair(append(b, '&'), mqtt311.Pair{Key: p.Key, Value: p.Value, Null: p.Null})
	}
	return b
}

func appendSystem(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return mqtt311.AppendEscaped(append(b, key...), value)
}
