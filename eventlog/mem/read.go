package mem

import (
	"context"
	"fmt"
	"iter"
	"sort"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

const (
	// batch bounds how many records a reader takes under the lock.
	batch = 1024
	// throughEvery is how often a waiting reader gets empty batches.
	throughEvery = 100 * time.Millisecond
	never        = int64(1)<<62 - 1
)

// A follow is where the read of one partition goes on and ends.
type follow struct {
	partition int
	next, end int64     // end is inclusive
	until     time.Time // exclusive; zero is never
}

func (f *follow) open() bool { return f.next <= f.end }

// Read implements eventlog.Reader.
func (l *Log) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		r := reader{log: l}
		err := r.resolve(from, until)
		if err == nil {
			err = r.follow(ctx, yield)
		}
		if err != nil {
			yield(eventlog.Batch{}, err)
		}
	}
}

type reader struct {
	log     *Log
	follows []follow
	buf     []telemetry.Message
	said    time.Time // when empty batches were given
}

func (r *reader) resolve(from, until eventlog.Positions) error {
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range from {
		if n < 0 || n >= len(l.parts) {
			return fmt.Errorf("eventlog/mem: no partition %d: there are %d, from 0", n, len(l.parts))
		}
	}
	for n := range l.parts {
		pos, ok := from[n]
		if !ok {
			continue
		}
		p := &l.parts[n]
		f := follow{partition: n, next: p.resolve(pos), end: never}
		if f.next > p.next() {
			return eventlog.ErrAhead{Partition: n, Next: p.next()}
		}
		switch pos, ok := until[n]; {
		case !ok:
		case pos.Kind == eventlog.KindAt:
			f.until = pos.Time
		default:
			f.end = p.resolve(pos) - 1
		}
		r.follows = append(r.follows, f)
	}
	return nil
}

// resolve returns the sequence number behind a position.
func (p *partition) resolve(pos eventlog.Position) int64 {
	switch pos.Kind {
	case eventlog.KindAfter:
		return pos.Seq + 1
	case eventlog.KindAt:
		return p.first + p.before(p.records, pos.Time)
	case eventlog.KindLatest:
		return p.next()
	default:
		return p.first
	}
}

// before counts the leading records that are enqueued before t.
func (p *partition) before(records []telemetry.Message, t time.Time) int64 {
	return int64(sort.Search(len(records), func(i int) bool { return !records[i].EnqueuedAt.Before(t) }))
}

func (r *reader) follow(ctx context.Context, yield func(eventlog.Batch, error) bool) error {
	for {
		r.log.mu.Lock()
		more := r.log.more
		r.log.mu.Unlock()
		delivered, open := false, false
		for i := range r.follows {
			f := &r.follows[i]
			msgs, err := r.take(ctx, f)
			if err != nil {
				return err
			}
			if len(msgs) > 0 {
				delivered = true
				if !yield(eventlog.Batch{Partition: f.partition, Messages: msgs}, nil) {
					return nil
				}
			}
			open = open || f.open()
		}
		if !open {
			return nil
		}
		if delivered {
			continue
		}
		if !r.sayThrough(yield) {
			return nil
		}
		r.wait(ctx, more)
	}
}

// take copies the next records of f's partition; they are valid until it is
// called again.
func (r *reader) take(ctx context.Context, f *follow) ([]telemetry.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.parts[f.partition]
	switch {
	case !f.open():
		return nil, nil
	case l.closed:
		return nil, eventlog.ErrClosed
	case f.next < p.first:
		return nil, eventlog.ErrTrimmed{Partition: f.partition, Oldest: p.first}
	}
	msgs := p.records[f.next-p.first:]
	msgs = msgs[:min(int64(len(msgs)), f.end-f.next+1, batch)]
	if !f.until.IsZero() {
		if n := p.before(msgs, f.until); n < int64(len(msgs)) || len(msgs) == 0 && !l.clock.Before(f.until) {
			msgs, f.end = msgs[:n], f.next+n-1
		}
	}
	f.next += int64(len(msgs))
	r.buf = append(r.buf[:0], msgs...)
	return r.buf, nil
}

// sayThrough promises to those who have read everything that what comes is
// enqueued now or later.
func (r *reader) sayThrough(yield func(eventlog.Batch, error) bool) bool {
	if time.Since(r.said) < throughEvery {
		return true
	}
	r.said = time.Now()
	for i := range r.follows {
		f := &r.follows[i]
		if through, ok := r.log.through(f); ok && !yield(eventlog.Batch{Partition: f.partition, Through: through}, nil) {
			return false
		}
	}
	return true
}

func (l *Log) through(f *follow) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !f.open() || f.next != l.parts[f.partition].next() {
		return time.Time{}, false
	}
	return l.tick(), true
}

func (r *reader) wait(ctx context.Context, more <-chan struct{}) {
	timer := time.NewTimer(throughEvery)
	defer timer.Stop()
	select {
	case <-more:
	case <-timer.C:
	case <-ctx.Done():
	}
}
