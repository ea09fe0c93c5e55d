package mqtt

import (
	"sync"
	"unsafe"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// A batch is a run of telemetry that came in one read: one Send, one callback,
// one write of its PUBACKs. Its messages point into the chunk.
type batch struct {
	c        *conn
	chunk    *chunk
	msgs     []telemetry.Message
	sys, app []telemetry.Property // what the messages' properties are slices of
	acks     []byte               // PUBACKs
	payload  int                  // bytes
	cost     int                  // bytes that count as in flight
	behind   uint64               // tasks whose PUBACKs leave first
	done     func(error)          // b.finish, bound once
}

var batches sync.Pool

func newBatch() *batch {
	b, _ := batches.Get().(*batch)
	if b == nil {
		b = new(batch)
		b.done = b.finish
	}
	return b
}

const messageCost = int(unsafe.Sizeof(telemetry.Message{}))

// telemetry adds a message to the batch.
func (c *conn) telemetry(p *mqtt311.Publish, bag []byte) error {
	b := c.batch
	if b == nil {
		b = newBatch()
		b.c, b.chunk = c, c.in.cur
		if !b.chunk.shared() {
			b.cost = len(b.chunk.b)
		}
		b.chunk.retain()
		c.batch = b
	}
	m := telemetry.Message{Body: p.Payload}
	var err error
	app0 := len(b.app)
	if b.sys, b.app, err = properties(&m, mqtt311.NewBag(bag), b.sys, b.app); err != nil {
		return err
	}
	if p.Retain { // IoT Hub keeps no retained messages, but says that one was meant so
		b.app = append(b.app, telemetry.Property{Key: "mqtt-retain", Value: "true"})
		m.Properties = b.app[app0:len(b.app):len(b.app)]
	}
	b.msgs = append(b.msgs, m)
	b.payload += len(p.Payload)
	b.cost += messageCost
	if p.QoS > 0 {
		b.acks = mqtt311.AppendPuback(b.acks, p.ID)
	}
	return nil
}

// send hands the batch to the hub. It waits while too much of this connection
// is in flight, or too many acknowledgements wait for the device to read them.
func (c *conn) send() error {
	b := c.batch
	if b == nil {
		return nil
	}
	c.batch = nil
	if len(b.msgs) == 0 {
		b.recycle()
		return nil
	}
	if err := c.reserve(b); err != nil {
		b.recycle()
		return err
	}
	c.srv.metrics.publishes.Add(float64(len(b.msgs)))
	c.srv.metrics.publishedBytes.Add(float64(b.payload))
	c.session.Send(c.ctx, b.msgs, b.done)
	return nil
}

// reserve takes the cost of b of what may be in flight, and its place among
// the PUBACKs.
func (c *conn) reserve(b *batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && !c.draining && (c.inflight > 0 && c.inflight+b.cost > c.srv.opt.InFlight || c.out != nil && len(c.out.b) > backlog) {
		c.changed.Wait()
	}
	switch {
	case c.closed:
		return errClosed
	case c.draining:
		return errDraining
	}
	c.inflight += b.cost
	c.sent++
	b.behind = c.asked
	return nil
}

// finish is the log's answer: durable, or refused. It runs on the log's
// goroutine and only queues the acknowledgements.
func (b *batch) finish(err error) {
	c := b.c
	over := false
	c.mu.Lock()
	c.logged++
	if err != nil {
		b.acks = b.acks[:0]
	}
	held := c.hold(b)
	if !held {
		over = b.acknowledge()
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	switch {
	case err != nil:
		c.kill(sendCause(err))
	case over:
		c.kill(causeSlow)
	}
	if !held {
		b.recycle()
	}
}

// acknowledge queues the PUBACKs and counts b as in flight no more, under c.mu.
func (b *batch) acknowledge() (over bool) {
	b.c.inflight -= b.cost
	if len(b.acks) == 0 || b.c.closed {
		return false
	}
	b.c.srv.metrics.pubacks.Add(float64(len(b.acks) / 4))
	return b.c.queue(func(out []byte) []byte { return append(out, b.acks...) })
}

// sendCause is why a message was refused: the session is over, or the log.
func sendCause(err error) string {
	if cause := disconnectCause(err); cause != causeHub && cause != causeShutdown {
		return cause
	}
	return causeLog
}

// recycle lets go of the chunk and keeps the slices for the next batch.
func (b *batch) recycle() {
	b.chunk.release()
	clear(b.msgs)
	clear(b.sys)
	clear(b.app)
	*b = batch{msgs: b.msgs[:0], sys: b.sys[:0], app: b.app[:0], acks: b.acks[:0], done: b.done}
	if cap(b.msgs) <= 1024 && cap(b.app) <= 8192 && cap(b.sys) <= 8192 {
		batches.Put(b)
	}
}
