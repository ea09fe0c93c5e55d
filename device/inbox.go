package device

import (
	"context"
	"errors"
	"sync"
)

// maxInbox bounds what waits for handlers. Beyond it the connection is given
// up: the hub keeps cloud-to-device messages, and desired properties are
// fetched again.
const maxInbox = 1024

var errInbox = errors.New("device: handlers are too slow: more than 1024 messages and desired patches wait for them")

// An inbox runs the handlers of messages and desired properties one after the
// other, beside the reader: a handler may wait for the hub.
type inbox struct {
	desired  func(context.Context, Desired)            // guarded by Client.mu, as all handlers
	messages func(context.Context, CloudMessage) error // OnMessage
	methods  map[string]MethodHandler                  // OnMethod
	calls    int                                       // methods that run

	started bool  // guarded by Client.mu
	seen    int64 // version of the desired properties handed over last; the loop's own
	ready   chan struct{}

	mu     sync.Mutex
	queue  []delivery
	closed bool
}

// A delivery is one of the two.
type delivery struct {
	desired *Desired
	message *CloudMessage
	session *session // of message
	id      uint16   // packet identifier of message, 0 for QoS 0
}

func (in *inbox) init() {
	in.ready = make(chan struct{}, 1)
	in.methods = map[string]MethodHandler{}
	in.seen = -1
}

// start runs the loop once; Client.mu is held.
func (in *inbox) start(c *Client) {
	if in.started || c.closing {
		return
	}
	in.started = true
	c.wg.Go(func() { c.deliver() })
}

func (in *inbox) put(d delivery) error {
	in.mu.Lock()
	if len(in.queue) >= maxInbox {
		in.mu.Unlock()
		return errInbox
	}
	in.queue = append(in.queue, d)
	in.mu.Unlock()
	in.signal()
	return nil
}

func (in *inbox) signal() {
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// close lets the loop end after the handler that runs.
func (in *inbox) close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.signal()
}

// take waits for the next delivery; ok is false after close.
func (in *inbox) take() (d delivery, ok bool) {
	for {
		in.mu.Lock()
		if in.closed {
			in.mu.Unlock()
			return d, false
		}
		if len(in.queue) > 0 {
			d, in.queue = in.queue[0], in.queue[1:]
			in.mu.Unlock()
			return d, true
		}
		in.queue = nil
		in.mu.Unlock()
		<-in.ready
	}
}

// follows reports whether d is the next thing to hand over: a patch only where
// none was missed before it, everything only where it is newer.
func (in *inbox) follows(d *Desired) bool {
	if d.Full && d.Version > in.seen || !d.Full && in.seen >= 0 && d.Version == in.seen+1 {
		in.seen = d.Version
		return true
	}
	return false
}

func (c *Client) deliver() {
	for {
		d, ok := c.inbox.take()
		if !ok {
			return
		}
		c.mu.Lock()
		onDesired, onMessage := c.inbox.desired, c.inbox.messages
		c.mu.Unlock()
		switch {
		case d.desired != nil:
			c.handleDesired(d.desired, onDesired)
		case onMessage != nil:
			c.consume(d, onMessage)
		}
	}
}

func (c *Client) handleDesired(d *Desired, handle func(context.Context, Desired)) {
	if c.inbox.follows(d) {
		handle(c.ctx, *d)
		return
	}
	if !d.Full && d.Version > c.inbox.seen {
		c.mu.Lock()
		c.syncDesired() // a patch was missed: fetch everything
		c.mu.Unlock()
	}
}
