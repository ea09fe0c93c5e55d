package mqtt

import (
	"sync"
)

// An outbound is what waits to be written, under conn.mu. A writer goroutine
// lives while there is something; what is queued while it writes leaves with
// its next write.
type outbound struct {
	out        *outbuf // nil: nothing waits
	writing    bool
	writeSince int64    // tick at which the write in progress began
	unacked    []string // lock tokens in out that no PUBACK will complete
}

type outbuf struct{ b []byte }

var outbufs = sync.Pool{New: func() any { return &outbuf{b: make([]byte, 0, 512)} }}

// backlog is how many bytes may wait to be written before the connection is
// not read any more.
const backlog = 64 << 10

// writeSize bounds one write in bytes, so that a slow link is told from one
// that stands still: 17 kbit/s move that much in stallTimeout.
const writeSize = 64 << 10

// reply queues what appendTo appends.
func (c *conn) reply(appendTo func([]byte) []byte) {
	if c.queueLocked(appendTo) {
		c.kill(causeSlow)
	}
}

// queueLocked lets go of c.mu also where appendTo panics: one connection's bug
// must not hold up those who look at it.
func (c *conn) queueLocked(appendTo func([]byte) []byte) (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue(appendTo)
}

// queue is reply under c.mu; over tells that the device reads too slowly.
func (c *conn) queue(appendTo func([]byte) []byte) (over bool) {
	if c.closed {
		return false
	}
	if c.out == nil {
		c.out = outbufs.Get().(*outbuf)
	}
	c.out.b = appendTo(c.out.b)
	if !c.writing {
		c.writing = true
		c.writeSince = c.srv.wheel.now.Load()
		go c.writeFunc()
	}
	return len(c.out.b) > c.srv.opt.Outbound
}

// cork lets what is queued wait for uncork, which must follow. Nothing may have
// been queued before.
func (c *conn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = true
	c.writeSince = c.srv.wheel.now.Load()
}

func (c *conn) uncork() { go c.writeFunc() }

// write writes until nothing waits.
func (c *conn) write() {
	c.mu.Lock()
	for c.out != nil && !c.closed {
		buf, sent := c.out, c.unacked
		c.out, c.unacked = nil, nil
		c.writeSince = c.srv.wheel.now.Load()
		c.changed.Broadcast()
		c.mu.Unlock()
		if err := c.writeOut(buf, sent); err != nil {
			c.kill(causeLost)
		}
		c.mu.Lock()
	}
	c.writing = false
	c.changed.Broadcast()
	c.mu.Unlock()
}

func (c *conn) writeOut(buf *outbuf, sent []string) error {
	for left := buf.b; len(left) > 0; {
		n, err := c.nc.Write(left[:min(len(left), writeSize)])
		if err != nil {
			recycle(buf)
			return err
		}
		left = left[n:]
		c.mu.Lock()
		c.writeSince = c.srv.wheel.now.Load()
		c.mu.Unlock()
	}
	recycle(buf)
	if sent == nil {
		return nil
	}
	c.mu.Lock()
	for _, token := range sent {
		c.enqueue(task{do: func() error { return c.complete(token) }}) // no more than the hub hands out
	}
	c.mu.Unlock()
	return nil
}

// flushed waits until everything queued is written, or the connection is closed.
func (c *conn) flushed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.writing && !c.closed {
		c.changed.Wait()
	}
}

// discard forgets what was not written, under c.mu.
func (c *conn) discard() {
	if c.out != nil {
		recycle(c.out)
		c.out = nil
	}
}

func recycle(buf *outbuf) {
	if cap(buf.b) > 64<<10 {
		return
	}
	buf.b = buf.b[:0]
	outbufs.Put(buf)
}
