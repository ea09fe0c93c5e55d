// Package mem is the log in memory: the same contract as eventlog/disk, for
// tests and for nodes that keep nothing. It promises order and positions as
// every engine does, and to lose everything with the process. It leaves out
// required consumers: beyond its bound the oldest records go.
package mem

import (
	"cmp"
	"context"
	"sync"
	"time"
	"unsafe"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// Options configure a Log; the zero value works.
type Options struct {
	Partitions int              // default 4
	MaxBytes   int              // kept at most; older records are removed. Default 256 MiB
	Budget     int              // the bytes of one Append at most. Default 128 MiB
	Now        func() time.Time // default time.Now
}

// Log is a log in memory.
type Log struct {
	now    func() time.Time
	max    int
	budget int

	mu       sync.Mutex
	parts    []partition
	bytes    int
	clock    time.Time // the last time given to a record or promised to a reader
	closed   bool
	more     chan struct{} // closed and replaced when there is more to read
	calls    []call        // callbacks that are due, in order
	draining bool
}

type call struct {
	done func(error)
	err  error
}

type partition struct {
	first   int64 // sequence number of records[0]
	records []telemetry.Message
}

var _ eventlog.Log = (*Log)(nil)

// New returns an empty log.
func New(o Options) *Log {
	l := &Log{
		now: o.Now, max: cmp.Or(o.MaxBytes, 256<<20), budget: cmp.Or(o.Budget, 128<<20),
		parts: make([]partition, cmp.Or(o.Partitions, 4)), more: make(chan struct{}),
	}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

// Partitions implements eventlog.Reader.
func (l *Log) Partitions(context.Context) (int, error) { return len(l.parts), nil }

// Append implements eventlog.Appender: memory is as durable as it gets. done
// runs before Append returns, unless another Append is running callbacks.
func (l *Log) Append(msgs []telemetry.Message, done func(error)) {
	l.mu.Lock()
	l.calls = append(l.calls, call{done, l.append(msgs)})
	if l.draining {
		l.mu.Unlock()
		return
	}
	l.draining = true
	for len(l.calls) > 0 {
		due := l.calls
		l.calls = nil
		l.mu.Unlock()
		for _, c := range due {
			c.done(c.err)
		}
		l.mu.Lock()
	}
	l.draining = false
	l.mu.Unlock()
}

func (l *Log) append(msgs []telemetry.Message) error {
	if l.closed {
		return eventlog.ErrClosed
	}
	size, kept := 0, 0
	for i := range msgs {
		n := msgs[i].Size()
		if n > eventlog.MaxMessage {
			return eventlog.ErrTooLarge
		}
		size += n
		kept += cost(&msgs[i])
	}
	if size > l.budget {
		return eventlog.ErrFull
	}
	at := l.tick()
	for i := range msgs {
		m := &msgs[i]
		m.Partition = eventlog.Partition(m.DeviceID, len(l.parts))
		p := &l.parts[m.Partition]
		m.Seq, m.EnqueuedAt = p.next(), at
		p.records = append(p.records, m.Clone())
	}
	l.bytes += kept
	l.trim()
	if len(msgs) > 0 {
		l.wake()
	}
	return nil
}

// tick returns the time, which never goes back.
func (l *Log) tick() time.Time {
	if now := l.now().UTC().Truncate(time.Microsecond); now.After(l.clock) {
		l.clock = now
	}
	return l.clock
}

func (p *partition) next() int64 { return p.first + int64(len(p.records)) }

// cost is what keeping m takes: small messages are mostly headers of strings
// and slices.
func cost(m *telemetry.Message) int {
	return m.Size() + int(unsafe.Sizeof(*m)) + (len(m.System)+len(m.Properties))*int(unsafe.Sizeof(telemetry.Property{}))
}

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
		if len(p.records) <= 1 { // a partition's newest stays, whatever its size: readers go on from it
			return
		}
		n := len(p.records) / 2
		for i := range p.records[:n] {
			l.bytes -= cost(&p.records[i])
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
