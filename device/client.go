// Package device is the client that a Go device uses to talk to Azure IoT Hub
// and to Weir alike: telemetry, twin, direct methods and cloud-to-device
// messages over MQTT 3.1.1 with TLS, directly or inside a WebSocket.
//
// It promises that a message whose Send returned nil, or whose callback ran
// with nil, was acknowledged by the hub; that messages leave in the order in
// which they were handed over; and that a lost connection loses none of them:
// the client reconnects by itself, with jittered exponential back-off, and
// sends what was not acknowledged again, in order, with the same ids. A hub may
// therefore see a message twice: its id tells. Memory is bounded by the window.
//
// It leaves out a buffer on disk (package edge has one), files, provisioning
// (DPS), AMQP and everything that only one of the two hubs understands.
package device

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrClosed is the error of calls after Close, and of messages that were
	// not acknowledged when it gave up.
	ErrClosed = errors.New("device: client is closed")
	// ErrTooLarge refuses a message beyond MaxMessage.
	ErrTooLarge = errors.New("device: message too large: a hub takes 256 KB, properties included")
	// ErrUnauthorized says that the hub does not accept the credentials: an
	// unknown or disabled device, a wrong key, or a clock that is wrong.
	ErrUnauthorized = errors.New("device: the hub refused the credentials: check device id, key, that the device is enabled, and this machine's clock")
	// ErrRefused is any other refusal to connect.
	ErrRefused = errors.New("device: the hub refused the connection")
)

// A Client is one device's, or module's, connection to its hub. All methods are
// safe for concurrent use.
type Client struct {
	cred   credentials
	opts   Options
	logger *slog.Logger
	prefix string // of message ids that the client makes
	topic  string // of telemetry, up to the property bag

	ctx    context.Context // ends when Close gives up or is done
	cancel context.CancelFunc
	wg     sync.WaitGroup
	stats  counters

	waiters sync.Pool // of *waiter

	wake  chan struct{} // capacity 1: the writer has something to do
	space chan struct{} // capacity 1: the window has room; baton between senders

	mu       sync.Mutex
	window   window
	scratch  []byte // topic of the message that is being encoded
	control  []byte // packets that leave before messages, of this connection only
	session  *session
	closing  bool
	drained  chan struct{} // closed when closing and the window is empty
	changed  chan struct{} // closed and replaced when the state below changes
	lastErr  error         // why there is no connection
	feeds    [feedCount]subscription
	requests requests
	inbox    inbox
}

type counters struct{ sent, acked, resent, connects atomic.Int64 }

// Stats counts what a Client did since New.
type Stats struct {
	Sent, Acked int64 // messages
	Resent      int64 // messages sent again after a reconnect
	Connects    int64 // accepted connections
}

// Stats returns the counts so far.
func (c *Client) Stats() Stats {
	return Stats{c.stats.sent.Load(), c.stats.acked.Load(), c.stats.resent.Load(), c.stats.connects.Load()}
}

// New makes a client and lets it connect, and stay connected, in the background
// until Close. Calls may be made at once: they wait for the connection. The
// error tells what is wrong with the connection string or the options.
func New(connectionString string, o Options) (*Client, error) {
	cred, err := parseConnectionString(connectionString)
	if err != nil {
		return nil, err
	}
	if err := o.complete(cred); err != nil {
		return nil, err
	}
	var id [8]byte
	rand.Read(id[:])
	c := &Client{
		cred:    cred,
		opts:    o,
		logger:  o.Logger.With("device", cred.clientID()),
		prefix:  hex.EncodeToString(id[:]) + "-",
		topic:   cred.topic(),
		wake:    make(chan struct{}, 1),
		space:   make(chan struct{}, 1),
		drained: make(chan struct{}),
		changed: make(chan struct{}),
		window:  newWindow(o.Window, o.WindowBytes),
	}
	c.waiters.New = newWaiter
	c.requests.init()
	c.inbox.init()
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.wg.Go(c.run)
	return c, nil
}

// Connect is New and Ready: it waits until the hub has accepted the device, and
// tries again until ctx ends unless the hub refuses the device.
func Connect(ctx context.Context, connectionString string, o Options) (*Client, error) {
	c, err := New(connectionString, o)
	if err != nil {
		return nil, err
	}
	if err := c.Ready(ctx); err != nil {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_ = c.Close(gone) // nothing is in flight; the error of Ready says more
		return nil, err
	}
	return c, nil
}

// Ready waits until the client is connected and the hub has confirmed every
// subscription that On… calls asked for. It ends early with the hub's refusal;
// the client goes on trying even then.
func (c *Client) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		ready, err, changed, closing := c.ready(), c.lastErr, c.changed, c.closing
		c.mu.Unlock()
		switch {
		case ready:
			return nil
		case closing:
			return ErrClosed
		case isRefusal(err):
			return err
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("device: not connected: %w (last attempt: %w)", ctx.Err(), err)
			}
			return fmt.Errorf("device: not connected: %w", ctx.Err())
		}
	}
}

func (c *Client) ready() bool {
	if c.session == nil {
		return false
	}
	for i := range c.feeds {
		if c.feeds[i].wanted && !c.feeds[i].granted {
			return false
		}
	}
	return true
}

// state records a change that Ready waits for; c.mu is held.
func (c *Client) state(err error) {
	c.lastErr = err
	close(c.changed)
	c.changed = make(chan struct{})
}

// Close takes no more messages, waits until those in flight are acknowledged or
// ctx ends, says goodbye to the hub and waits for handlers to return, whose
// context ends then: a handler must not call it. It returns ErrClosed, with the
// count, where messages were left unacknowledged.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.closing {
		c.closing = true
		c.checkDrained()
	}
	c.mu.Unlock()
	c.handOn() // senders that wait for room learn that it is over
	select {
	case <-c.drained:
		c.part(ctx)
	case <-ctx.Done():
	case <-c.ctx.Done():
	}
	c.cancel()
	c.inbox.close()
	c.wg.Wait()
	if n := c.abandon(); n > 0 {
		return fmt.Errorf("%w: %d messages were not acknowledged", ErrClosed, n)
	}
	return nil
}

// partTimeout bounds the wait for the last packet to leave.
const partTimeout = 2 * time.Second

// part sends DISCONNECT on the live connection and waits until it is gone.
func (c *Client) part(ctx context.Context) {
	c.mu.Lock()
	s := c.session
	if s != nil {
		c.finish(s, ErrClosed)
	}
	c.mu.Unlock()
	if s == nil {
		return
	}
	timer := time.NewTimer(partTimeout)
	defer timer.Stop()
	select {
	case <-s.gone:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// checkDrained tells Close when nothing is in flight; c.mu is held.
func (c *Client) checkDrained() {
	if !c.closing || !c.window.empty() {
		return
	}
	select {
	case <-c.drained:
	default:
		close(c.drained)
	}
}

// abandon fails what was never acknowledged, once the connection is gone.
func (c *Client) abandon() int {
	c.mu.Lock()
	left := c.window.clear()
	c.requests.fail(ErrClosed)
	c.mu.Unlock()
	for _, done := range left {
		done(ErrClosed)
	}
	return len(left)
}

func (c *Client) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// ID is the device id, or device/module.
func (c *Client) ID() string { return c.cred.clientID() }
