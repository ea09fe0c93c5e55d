package hub

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestBudget takes and gives back from many goroutines, some of which give up:
// never more than the limit is out, nothing is lost, and nobody is forgotten.
func TestBudget(t *testing.T) {
	b := &budget{limit: 100}
	var out atomic.Int64
	var wg sync.WaitGroup
	for g := range uint64(16) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 1))
			for range 2000 {
				ctx, cancel := context.WithCancel(t.Context())
				if rng.IntN(4) == 0 {
					go cancel()
				}
				n, _, err := b.take(ctx, rng.Int64N(150))
				if err == nil {
					if now := out.Add(n); now > b.limit {
						t.Errorf("%d of %d are out", now, b.limit)
					}
					out.Add(-n)
					b.give(n)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if used, waiting := b.used.Load(), b.waiting.Load(); used != 0 || waiting != 0 || len(b.queue) != 0 {
		t.Errorf("used %d, waiting %d, queue %d at the end", used, waiting, len(b.queue))
	}
}

// TestBudgetGrantMeetsCancel: who gives up at the moment of the grant gives back.
func TestBudgetGrantMeetsCancel(t *testing.T) {
	b := &budget{limit: 100}
	late := &taker{60, make(chan struct{})}
	b.queue = []*taker{late}
	b.waiting.Store(1)
	b.grant()
	_ = b.leave(late, context.Canceled)
	if used, waiting := b.used.Load(), b.waiting.Load(); used != 0 || waiting != 0 {
		t.Errorf("used %d, waiting %d", used, waiting)
	}
}
