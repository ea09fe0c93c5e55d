package hub

import (
	"context"
	"sync"
	"sync/atomic"
)

// A budget counts bytes in flight. Taking and giving back cost one atomic
// addition each until the budget is full; then takers queue, first come first
// served.
type budget struct {
	limit   int64
	used    atomic.Int64
	waiting atomic.Int64

	mu    sync.Mutex
	queue []*taker
}

type taker struct {
	n     int64
	ready chan struct{}
}

// take waits until n bytes are free, and returns how many to give back: no
// more than the whole budget. waited says that it was not at once.
func (b *budget) take(ctx context.Context, n int64) (taken int64, waited bool, err error) {
	n = min(n, b.limit)
	if b.waiting.Load() == 0 && b.try(n) {
		return n, false, nil
	}
	t := &taker{n, make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, t)
	b.waiting.Add(1)
	b.grant() // a give between try and Add saw nobody waiting
	b.mu.Unlock()
	select {
	case <-t.ready:
		return n, true, nil
	case <-ctx.Done():
		return 0, true, b.leave(t, ctx.Err())
	}
}

func (b *budget) try(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.give(n)
	return false
}

func (b *budget) give(n int64) {
	b.used.Add(-n)
	if b.waiting.Load() > 0 {
		b.mu.Lock()
		b.grant()
		b.mu.Unlock()
	}
}

// grant lets those in front go. b.mu is held.
func (b *budget) grant() {
	for len(b.queue) > 0 {
		t := b.queue[0]
		if b.used.Add(t.n) > b.limit {
			b.used.Add(-t.n)
			return
		}
		b.queue = b.queue[1:]
		b.waiting.Add(-1)
		close(t.ready)
	}
}

// leave takes t out of the queue; what it was granted meanwhile goes back.
func (b *budget) leave(t *taker, cause error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.queue {
		if b.queue[i] == t {
			b.queue = append(b.queue[:i:i], b.queue[i+1:]...)
			b.waiting.Add(-1)
			b.grant() // t may have been what held up the others
			return cause
		}
	}
	b.used.Add(-t.n)
	b.grant()
	return cause
}
