package mqtt

import (
	"errors"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// Bounds of what one connection's device may ask for before the answer: at
// either the connection is not read.
const (
	maxWork      = 128
	maxWorkBytes = 64 << 10 // beyond the first task
)

// A task is something that a device asked for and that may wait for the disk.
type task struct {
	do     func() error // nil: only to be acknowledged
	size   int          // bytes that do holds
	ack    bool         // PUBACK of id follows
	id     uint16
	behind uint64 // batches that were sent before: their PUBACKs leave first
}

// A worklist is what the connection's device asked for, in order, under
// conn.mu. A goroutine lives while there is something. It also keeps the order
// of PUBACKs (MQTT 3.1.1, section 4.6): a task's waits until the log answered
// the batches before it, a batch's until the tasks before it are acknowledged.
type worklist struct {
	tasks   []task
	size    int // bytes of tasks
	working bool
	sent    uint64   // batches handed to the log
	logged  uint64   // of these, answered by it
	asked   uint64   // tasks with a PUBACK
	acked   uint64   // of these, done
	held    []*batch // answered batches whose PUBACKs must wait
}

// work queues t, and waits while too much is queued.
func (c *conn) work(t task) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && !c.draining && (len(c.tasks) >= maxWork || c.size > 0 && c.size+t.size > maxWorkBytes) {
		c.changed.Wait()
	}
	switch {
	case c.closed:
		return errClosed
	case c.draining:
		return errDraining
	}
	c.enqueue(t)
	return nil
}

// enqueue is work without a bound, under c.mu: for what the hub bounds.
func (c *conn) enqueue(t task) {
	if c.closed {
		return
	}
	t.behind = c.sent
	if t.ack {
		c.asked++
	}
	c.size += t.size
	c.tasks = append(c.tasks, t)
	if !c.working {
		c.working = true
		go c.runTasks()
	}
}

// runTasks works until nothing waits. After the end of the connection it lets
// go of what is left.
func (c *conn) runTasks() {
	defer c.rest()
	defer c.recover()
	for {
		c.mu.Lock()
		if len(c.tasks) == 0 || c.closed {
			c.rested()
			c.mu.Unlock()
			return
		}
		t := c.tasks[0]
		c.mu.Unlock()
		if t.do != nil {
			if err := t.do(); err != nil {
				c.failed(err)
			}
		}
		c.done(t)
	}
}

// rest is for a task that panicked: it ended the connection, and waiters go on.
func (c *conn) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working {
		c.rested()
	}
}

// rested is the end of the worker, under c.mu.
func (c *conn) rested() {
	c.tasks, c.size, c.working = nil, 0, false
	c.acked = c.asked
	c.unhold()
	c.changed.Broadcast()
}

// done acknowledges t when it is its turn.
func (c *conn) done(t task) {
	c.mu.Lock()
	over := false
	if t.ack {
		for !c.closed && c.logged < t.behind {
			c.changed.Wait()
		}
		if !c.closed {
			over = c.queue(func(b []byte) []byte { return mqtt311.AppendPuback(b, t.id) })
		}
		c.acked++
		over = c.unhold() || over
	}
	c.tasks[0] = task{}
	c.tasks = c.tasks[1:]
	c.size -= t.size
	c.changed.Broadcast()
	c.mu.Unlock()
	if over {
		c.kill(causeSlow)
	}
}

// failed ends the connection for what the hub could not do.
func (c *conn) failed(err error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return // that is why
	}
	c.kill(c.hubCause(err))
}

// hubCause is why the hub refuses: that the session is over, or a failure,
// which it logs.
func (c *conn) hubCause(err error) string {
	var he *hub.Error
	if errors.As(err, &he) {
		if cause := disconnectCause(he); cause != causeHub {
			return cause
		}
	}
	c.srv.opt.Logger.Warn("connection closed: hub failed", "device", c.id.String(), "error", err)
	return causeHub
}

// worked waits until what the device asked for is done, or the connection is
// closed.
func (c *conn) worked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.working && !c.closed {
		c.changed.Wait()
	}
}

// hold keeps an answered batch whose PUBACKs are not next, under c.mu. It
// counts as in flight meanwhile.
func (c *conn) hold(b *batch) bool {
	if c.closed || b.behind <= c.acked {
		return false
	}
	c.held = append(c.held, b)
	return true
}

// unhold acknowledges the held batches whose turn it is, under c.mu.
func (c *conn) unhold() (over bool) {
	for len(c.held) > 0 && (c.closed || c.held[0].behind <= c.acked) {
		b := c.held[0]
		c.held[0] = nil
		c.held = c.held[1:]
		over = b.acknowledge() || over
		b.recycle()
	}
	if len(c.held) == 0 {
		c.held = nil
	}
	return over
}
