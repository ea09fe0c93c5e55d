package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weir-iot/weir/eventlog"
)

// A queue hands batches from the reader to the writer: the reader fills one
// while the writer writes the other.
type queue struct {
	limit int           // bytes at which a batch is full
	some  chan struct{} // there is something to take
	full  chan struct{} // there is no reason to wait for more
	taken chan struct{} // the reader may go on
	ended chan struct{} // closed when the reader has ended

	mu    sync.Mutex
	fill  *batch
	spare *batch // nil while the writer has it
}

func newQueue(partitions, limit int) *queue {
	signal := func() chan struct{} { return make(chan struct{}, 1) }
	return &queue{
		limit: limit, some: signal(), full: signal(), taken: signal(), ended: make(chan struct{}),
		fill: newBatch(partitions), spare: newBatch(partitions),
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// gather waits for more: until the batch is full or old enough.
func (q *queue) gather() {
	t := time.NewTimer(linger)
	defer t.Stop()
	select {
	case <-q.full:
	case <-t.C:
	case <-q.ended:
	}
}

// take gives the writer what is there; it must come back with giveBack before
// the next take.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.fill
	q.fill, q.spare = q.spare, nil
	select { // what was said about b is no longer news
	case <-q.full:
	default:
	}
	notify(q.taken)
	return b
}

func (q *queue) giveBack(b *batch) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spare = b
}

// add puts in as much of b as there is room for, and returns what is left.
func (q *queue) add(r *rower, b eventlog.Batch, after []int64) (rest eventlog.Batch, isFull bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range b.Messages {
		if q.fill.size() >= q.limit {
			b.Messages = b.Messages[i:]
			notify(q.some)
			notify(q.full)
			return b, true
		}
		m := &b.Messages[i]
		if m.Seq <= after[b.Partition] {
			continue
		}
		after[b.Partition] = m.Seq
		r.add(q.fill, m)
		if m.EnqueuedAt.After(q.fill.through[b.Partition]) {
			q.fill.through[b.Partition] = m.EnqueuedAt
		}
	}
	if b.Through.After(q.fill.through[b.Partition]) {
		q.fill.through[b.Partition] = b.Through
	}
	notify(q.some)
	return eventlog.Batch{}, false
}

// read follows the log behind the given positions until ctx ends.
func (h *Hot) read(ctx context.Context, q *queue, after []int64) error {
	r := &rower{ttl: h.o.TTL, speaks: h.o.Speaks, m: h.m, poison: h.deadLetter, odd: h.odd}
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		progress, err := h.follow(ctx, q, r, after)
		var trimmed eventlog.ErrTrimmed
		var ahead eventlog.ErrAhead
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, eventlog.ErrClosed):
			return err
		case errors.As(err, &ahead):
			return isAhead(ahead)
		case errors.As(err, &trimmed) && trimmed.Oldest-1 > after[trimmed.Partition]:
			h.lost(trimmed, after[trimmed.Partition])
			after[trimmed.Partition] = trimmed.Oldest - 1
			continue
		}
		if progress {
			wait = firstWait
		}
		h.failed("reading the log", err)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func isAhead(err eventlog.ErrAhead) error {
	return fmt.Errorf("the store is ahead of the log, which was replaced or lost its end; new records would be taken for old ones: move the store's folder away, and it is filled from the log: %w", err)
}

// Check returns an error with eventlog.ErrAhead if the store is ahead of the
// log. It is to be called before anything is appended: soon after that, nobody
// could tell. Whatever else is wrong is for Run to meet.
func (h *Hot) Check(ctx context.Context) error {
	n, err := h.log.Partitions(ctx)
	if err != nil {
		return nil
	}
	marks, err := h.marks(ctx, n)
	if err != nil {
		return nil
	}
	for p, seq := range marks {
		if seq < 0 {
			continue
		}
		here := eventlog.Positions{p: eventlog.After(seq)}
		for _, err := range h.log.Read(ctx, here, here) {
			var ahead eventlog.ErrAhead
			if errors.As(err, &ahead) {
				return fmt.Errorf("stream: checking %s: %w", h.o.Consumer, isAhead(ahead))
			}
		}
	}
	return nil
}

// lost tells of records that retention removed before they were read.
func (h *Hot) lost(e eventlog.ErrTrimmed, after int64) {
	n := e.Oldest - 1 - after
	h.m.trimmed.Add(float64(n))
	h.o.Logger.Error("the log no longer has records that were not in the store yet; they are lost to it: raise the log's retention",
		"job", h.o.Consumer, "partition", e.Partition, "seq", after+1, "records", n)
}

var errEnded = errors.New("stream: the log's read ended by itself")

// follow reads until an error; after moves along.
func (h *Hot) follow(ctx context.Context, q *queue, r *rower, after []int64) (progress bool, err error) {
	from := make(eventlog.Positions, len(after))
	for p, seq := range after {
		from[p] = eventlog.After(seq)
		if seq < 0 {
			from[p] = eventlog.Oldest() // nothing was read: nothing is missed
		}
	}
	for b, err := range h.log.Read(ctx, from, nil) {
		if err != nil {
			return progress, err
		}
		progress = true
		for full := true; full; {
			if b, full = q.add(r, b, after); full {
				select {
				case <-q.taken:
				case <-ctx.Done():
					return progress, ctx.Err()
				}
			}
		}
	}
	return progress, errEnded
}
