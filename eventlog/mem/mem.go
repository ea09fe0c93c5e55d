// Package mem is the log in memory: the same contract as eventlog/disk, for
// tests and for nodes that keep nothing. It promises order, positions and
// retention as every engine does, and to lose everything with the process.
package mem

import (
	"context"
	"iter"
	"sort"
	"sync"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// Options configure a Log; the zero value works.
type Options struct {
	Partitions int              // default 4
	MaxBytes   int              // kept at most; older records are removed. Default 256 MiB
	Now        func() time.Time // default time.Now
}

// Log is a log in memory.
type Log struct {
	now func() time.Time
	max int

	mu     sync.Mutex
	parts  []partition
	bytes  int
	closed bool
	more   chan struct{} // closed and replaced when there is more to read
}

type partition struct {
	first    int64 // sequence number of records[0]
	records  []telemetry.Message
	enqueued time.Time // no record is enqueued earlier
}

var _ eventlog.Log = (*Log)(nil)

// New returns an empty log.
func New(o Options) *Log {
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Log{now: o.Now, max: o.MaxBytes, parts: make([]partition, o.Partitions), more: make(chan struct{})}
}

// Partitions implements eventlog.Reader.
func (l *Log) Partitions(context.Context) (int, error) { return len(l.parts), nil }

// Append implements eventlog.Appender: memory is as durable as it gets.
func (l *Log) Append(msgs []telemetry.Message, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock() // done runs under it: callbacks keep call order
	done(l.append(msgs))
}

func (l *Log) append(msgs []telemetry.Message) error {
	if l.closed {
		return eventlog.ErrClosed
	}
	for i := range msgs {
		if msgs[i].Size() > eventlog.MaxMessage {
			return eventlog.ErrTooLarge
		}
	}
	at := l.now()
	for i := range msgs {
		m := &msgs[i]
		m.Partition = eventlog.Partition(m.DeviceID, len(l.parts))
		p := &l.parts[m.Partition]
		if at.After(p.enqueued) {
			p.enqueued = at
		}
		m.Seq, m.EnqueuedAt = p.next(), p.enqueued
		p.records = append(p.records, m.Clone())
		l.bytes += m.Size()
	}
	l.trim()
	l.wake()
	return nil
}

func (p *partition) next() int64 { return p.first + int64(len(p.records)) }

// trim removes the oldest records of the fullest partitions until the rest fits.
func (l *Log) trim() {
	for l.bytes > l.max {
		most := 0
		for i := range l.parts {
			if len(l.parts[i].records) > len(l.parts[most].records) {
				most = i
			}
		}
		p := &l.parts[most]
		if len(p.records) == 0 {
			return
		}
		n := (len(p.records) + 1) / 2
		for i := range p.records[:n] {
			l.bytes -= p.records[i].Size()
		}
		p.records = append([]telemetry.Message(nil), p.records[n:]...)
		p.first += int64(n)
	}
}

func (l *Log) wake() {
	close(l.more)
	l.more = make(chan struct{})
}

// Close implements io.Closer.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.wake()
	}
	return nil
}

// batch bounds how many records a reader takes under the lock.
const batch = 1024

// throughEvery is the least time between two rounds of empty batches.
const throughEvery = 100 * time.Millisecond

// Read implements eventlog.Reader.
func (l *Log) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		l.mu.Lock()
		follows := l.resolve(from, until)
		l.mu.Unlock()
		if err := l.follow(ctx, follows, yield); err != nil {
			yield(eventlog.Batch{}, err)
		}
	}
}

// A follow is where the read of one partition goes on and ends (inclusive).
type follow struct{ partition, next, end int64 }

const never = int64(1)<<62 - 1

func (l *Log) resolve(from, until eventlog.Positions) []follow {
	var fs []follow
	for p := range l.parts {
		pos, ok := from[p]
		if !ok {
			continue
		}
		f := follow{int64(p), l.parts[p].resolve(pos), never}
		if pos, ok := until[p]; ok {
			f.end = l.parts[p].resolve(pos) - 1
		}
		fs = append(fs, f)
	}
	return fs
}

// resolve returns the sequence number behind a position.
func (p *partition) resolve(pos eventlog.Position) int64 {
	switch pos.Kind {
	case eventlog.KindAfter:
		return pos.Seq + 1
	case eventlog.KindAt:
		return p.first + int64(sort.Search(len(p.records), func(i int) bool { return !p.records[i].EnqueuedAt.Before(pos.Time) }))
	case eventlog.KindLatest:
		return p.next()
	default:
		return p.first
	}
}

func (l *Log) follow(ctx context.Context, fs []follow, yield func(eventlog.Batch, error) bool) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		delivered, open := false, false
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		for i := range fs {
			f := &fs[i]
			b, err := l.take(f)
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if len(b.Messages) > 0 {
				delivered = true
				f.next += int64(len(b.Messages))
				if !yield(b, nil) {
					return nil
				}
			}
			open = open || f.next <= f.end
		}
		if !open {
			return nil
		}
		if delivered {
			continue
		}
		for i := range fs {
			if b, ok := l.through(&fs[i]); ok && !yield(b, nil) {
				return nil
			}
		}
		timer.Reset(throughEvery)
		select {
		case <-more:
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take copies the next records of f's partition.
func (l *Log) take(f *follow) (eventlog.Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.parts[f.partition]
	if l.closed {
		return eventlog.Batch{}, eventlog.ErrClosed
	}
	if f.next < p.first {
		return eventlog.Batch{}, eventlog.ErrTrimmed{Partition: int(f.partition), Oldest: p.first}
	}
	last := min(p.next()-1, f.end, f.next+batch-1)
	b := eventlog.Batch{Partition: int(f.partition), Through: p.enqueued}
	for seq := f.next; seq <= last; seq++ {
		b.Messages = append(b.Messages, p.records[seq-p.first])
	}
	return b, nil
}

// through is the promise to a reader that has read everything: what comes is
// enqueued now or later. It is false where more came meanwhile.
func (l *Log) through(f *follow) (eventlog.Batch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.parts[f.partition]
	if f.next != p.next() {
		return eventlog.Batch{}, false
	}
	if now := l.now(); now.After(p.enqueued) {
		p.enqueued = now
	}
	return eventlog.Batch{Partition: int(f.partition), Through: p.enqueued}, true
}
