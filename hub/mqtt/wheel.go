package mqtt

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tick = time.Second // resolution of keep alive

	// maxSilence is the longest time without a packet, in ticks: IoT Hub's cap
	// of 1.5 × keep alive, and what keep alive 0 (off) gets.
	maxSilence = 1767
	// checkEvery bounds the ticks between two looks at a connection.
	checkEvery = 30
	// stallTimeout is how many ticks a write may make no progress.
	stallTimeout = 30
)

// A wheel looks after all connections with one timer: every connection is in
// the slot of the tick at which it is checked next.
type wheel struct {
	now atomic.Int64 // ticks since start

	mu    sync.Mutex
	slots [checkEvery + 1]*conn // heads of lists through conn.spoke
	due   []*conn               // of advance, kept for its memory
}

// A spoke is a connection's place in the wheel, under wheel.mu.
type spoke struct {
	in         bool
	slot       int
	prev, next *conn
}

func (w *wheel) run(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.advance()
		}
	}
}

// advance moves one tick on and checks the connections that are due.
func (w *wheel) advance() {
	now := w.now.Add(1)
	w.mu.Lock()
	w.due = w.due[:0]
	for c := w.slots[now%int64(len(w.slots))]; c != nil; {
		next := c.spoke.next
		c.spoke = spoke{}
		w.due = append(w.due, c)
		c = next
	}
	w.slots[now%int64(len(w.slots))] = nil
	w.mu.Unlock()
	for _, c := range w.due {
		if in := c.check(now); in > 0 {
			w.insert(c, in)
		}
	}
	clear(w.due)
}

// insert has c checked in that many ticks, checkEvery at most.
func (w *wheel) insert(c *conn, in int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slot := int((w.now.Load() + min(max(in, 1), checkEvery)) % int64(len(w.slots)))
	head := w.slots[slot]
	c.spoke = spoke{in: true, slot: slot, next: head}
	if head != nil {
		head.spoke.prev = c
	}
	w.slots[slot] = c
}

func (w *wheel) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := c.spoke
	if !p.in {
		return
	}
	if p.prev != nil {
		p.prev.spoke.next = p.next
	} else {
		w.slots[p.slot] = p.next
	}
	if p.next != nil {
		p.next.spoke.prev = p.prev
	}
	c.spoke = spoke{}
}
