package disk

import (
	"fmt"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// Append implements eventlog.Appender. It encodes msgs before it returns.
func (l *Log) Append(msgs []telemetry.Message, done func(error)) {
	size, err := measure(msgs)
	if err == nil {
		err = l.enqueue(msgs, size, done)
	}
	if err != nil {
		done(err)
	}
}

func (l *Log) enqueue(msgs []telemetry.Message, size int64, done func(error)) error {
	now := l.opts.Now().UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closing:
		return eventlog.ErrClosed
	case l.failed != nil:
		return l.failed
	case l.waiting+size > l.opts.Budget:
		return eventlog.ErrFull
	}
	l.clock = max(l.clock, now)
	at := microTime(l.clock)
	for i := range msgs {
		m := &msgs[i]
		m.Partition = eventlog.Partition(m.DeviceID, l.partitions)
		m.Seq = l.next[m.Partition]
		m.EnqueuedAt = at
		l.next[m.Partition]++
		l.filling.add(l.seeds[m.Partition], m, l.clock)
	}
	l.filling.calls = append(l.filling.calls, done)
	l.filling.bytes += size
	l.waiting += size
	if len(l.filling.calls) == 1 {
		notify(l.appended)
	}
	return nil
}

// notify wakes whoever waits for c, a channel of capacity 1.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take gives the writer what is queued, nil if nothing is.
func (l *Log) take() *pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.calls) == 0 {
		return nil
	}
	g := l.filling
	l.filling, l.spare = l.spare, nil
	return g
}

// takeTime gives the writer a group without records: the promise that what
// comes later is not enqueued before its time. It is nil when records are queued,
// which make a better one, and when time stands still.
func (l *Log) takeTime() *pending {
	now := l.opts.Now().UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.calls) > 0 || l.closing || l.failed != nil || now <= l.clock {
		return nil
	}
	l.clock = now
	g := l.filling
	l.filling, l.spare = l.spare, nil
	g.first, g.last = now, now
	return g
}

// finish tells the callers of g how it ended and takes g back. Their bytes are
// free before they hear of it.
func (l *Log) finish(g *pending, err error) {
	l.mu.Lock()
	l.waiting -= g.bytes
	l.mu.Unlock()
	for _, done := range g.calls {
		done(err)
	}
	g.reset()
	l.mu.Lock()
	l.spare = g
	l.mu.Unlock()
}

// fail stops the log for good: a retry after a failed write or sync may claim
// success for bytes that are lost.
func (l *Log) fail(doing string, cause error) error {
	err := fmt.Errorf("%w: %s in %s: %w", eventlog.ErrFailed, doing, l.dir, cause)
	l.mu.Lock()
	l.failed = err
	l.mu.Unlock()
	l.logger.Error("log stopped for good: nothing is acknowledged any more; check the disk, then restart", "error", err)
	return err
}
