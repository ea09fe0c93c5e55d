package device

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
)

var (
	errRenew  = errors.New("device: reconnecting with a fresh token")
	errSilent = errors.New("device: the hub has been silent for the keep-alive time")
)

const (
	// steady is how long a connection must live to count as good: only then
	// does the back-off start over. Two clients of one id would else throw each
	// other out as fast as they can.
	steady = 10 * time.Second
	// renewGrace is how long a renewal waits for what is in flight.
	renewGrace = 5 * time.Second
	// writeLimit is about how many bytes go into one write: one TLS record.
	writeLimit = 16 << 10
)

// A session is one connection that the hub has accepted. Fields below mu belong
// to Client.mu.
type session struct {
	conn   net.Conn
	frames frames
	renew  time.Time     // when to fetch a fresh token; zero: never
	gone   chan struct{} // closed when the connection is

	heard, wrote atomic.Bool // since the last keep-alive tick
	once         sync.Once
	cause        error // why it ended, once gone is closed

	// under Client.mu
	pinged    bool
	quiescing bool // no more messages leave: a token is being renewed
	last      bool // close when control is written
	lastCause error
}

func newSession(conn net.Conn, renew time.Time) *session {
	return &session{conn: conn, frames: newFrames(conn), renew: renew, gone: make(chan struct{})}
}

// end closes the connection; the first cause stays.
func (s *session) end(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.gone)
		s.conn.Close()
	})
}

// run keeps the client connected until it is closed.
func (c *Client) run() {
	for attempt := 0; c.ctx.Err() == nil; {
		s, err := c.dial(c.ctx)
		if err == nil {
			began := time.Now()
			err = c.serve(s)
			if time.Since(began) >= steady {
				attempt = 0
			}
		}
		if c.ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		if errors.Is(err, errRenew) {
			continue
		}
		c.lost(err)
		if !pause(c.ctx, c.backoff(attempt)) {
			return
		}
		attempt++
	}
}

// lost tells everybody why there is no connection.
func (c *Client) lost(err error) {
	c.mu.Lock()
	c.state(err)
	c.mu.Unlock()
	c.logger.Warn("no connection to the hub, trying again", "error", err)
	if c.opts.OnConnection != nil {
		c.opts.OnConnection(err)
	}
}

// backoff is the pause before the attempt after number n: half of it is random.
func (c *Client) backoff(n int) time.Duration {
	d := c.opts.BackoffMax
	if n < 30 && c.opts.BackoffMin<<n < d && c.opts.BackoffMin<<n > 0 {
		d = c.opts.BackoffMin << n
	}
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// serve runs a connection to its end and returns the cause.
func (c *Client) serve(s *session) error {
	stop := context.AfterFunc(c.ctx, func() { s.end(ErrClosed) })
	defer stop()
	c.begin(s)
	var writer sync.WaitGroup
	writer.Go(func() { c.write(s) })
	keepAlive := c.keepAlive(s)
	defer keepAlive.Stop()
	if !s.renew.IsZero() {
		timer := time.AfterFunc(s.renew.Sub(c.opts.Now()), func() { c.quiesce(s) })
		defer timer.Stop()
	}
	s.end(c.read(s))
	writer.Wait()
	c.mu.Lock()
	c.session = nil
	c.control = nil
	for i := range c.feeds {
		c.feeds[i].granted = false
	}
	c.state(s.cause)
	c.mu.Unlock()
	return s.cause
}

// begin makes s the live connection: subscriptions first, then what was not
// acknowledged.
func (c *Client) begin(s *session) {
	c.mu.Lock()
	c.session = s
	c.window.rewind()
	c.control = nil
	for f := range c.feeds {
		if c.feeds[f].wanted {
			c.subscribe(feed(f))
		}
	}
	c.state(nil)
	if c.closing && c.window.empty() {
		c.finish(s, ErrClosed)
	}
	c.mu.Unlock()
	c.kick()
	if c.stats.connects.Add(1) > 1 {
		c.logger.Info("connected again")
	}
	if c.opts.OnConnection != nil {
		c.opts.OnConnection(nil)
	}
}

// write sends what waits, in as few writes as there are, until s ends.
func (c *Client) write(s *session) {
	for {
		select {
		case <-c.wake:
		case <-s.gone:
			return
		}
		if err := c.flush(s); err != nil {
			s.end(err)
			return
		}
	}
}

var writeBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, writeLimit)) }}

// flush writes until nothing waits. It holds a buffer only meanwhile.
func (c *Client) flush(s *session) error {
	pooled := writeBuffers.Get().(*[]byte)
	defer writeBuffers.Put(pooled)
	for {
		c.mu.Lock()
		b := append((*pooled)[:0], c.control...)
		c.control = c.control[:0]
		last := s.last
		if !s.quiescing && !last {
			var resent int
			b, resent = c.window.fill(b, writeLimit)
			c.stats.resent.Add(int64(resent))
		}
		c.mu.Unlock()
		if len(b) > 0 {
			s.wrote.Store(true)
			if _, err := s.conn.Write(b); err != nil {
				return fmt.Errorf("device: writing to the hub: %w", err)
			}
		}
		if last {
			return s.lastCause
		}
		if len(b) == 0 {
			return nil
		}
		if cap(b) <= 4*writeLimit {
			*pooled = b
		}
	}
}

// finish lets DISCONNECT be the last packet of s; c.mu is held.
func (c *Client) finish(s *session, cause error) {
	if s.last || c.session != s {
		return
	}
	c.control = mqtt311.AppendDisconnect(c.control)
	s.last, s.lastCause = true, cause
	c.kick()
}

// quiesce renews the token: what is in flight is waited for, so that the new
// connection need not send it again.
func (c *Client) quiesce(s *session) {
	c.mu.Lock()
	s.quiescing = true
	c.checkQuiet(s)
	c.mu.Unlock()
	timer := time.NewTimer(renewGrace)
	defer timer.Stop()
	select {
	case <-s.gone:
	case <-timer.C:
		s.end(errRenew)
	}
}

// checkQuiet ends a connection whose token is being renewed once nothing waits
// for the hub; c.mu is held.
func (c *Client) checkQuiet(s *session) {
	if s.quiescing && c.window.quiet() {
		c.finish(s, errRenew)
	}
}

// keepAlive pings a silent hub, and gives it up when that is not answered. The
// timer costs no goroutine while it waits.
func (c *Client) keepAlive(s *session) *time.Timer {
	var timer *time.Timer
	c.mu.Lock()
	defer c.mu.Unlock() // the first tick sees timer
	timer = time.AfterFunc(c.opts.KeepAlive/2, func() {
		c.mu.Lock()
		alive := c.tick(s)
		c.mu.Unlock()
		if !alive {
			s.end(errSilent)
			return
		}
		timer.Reset(c.opts.KeepAlive / 2)
	})
	return timer
}

// tick reports whether the hub still lives; c.mu is held.
func (c *Client) tick(s *session) bool {
	heard, wrote := s.heard.Swap(false), s.wrote.Swap(false)
	switch {
	case c.session != s || s.last:
	case heard && wrote:
		s.pinged = false
	case s.pinged && !heard:
		return false
	default:
		s.pinged = true
		c.control = mqtt311.AppendPingreq(c.control)
		c.kick()
	}
	return true
}
