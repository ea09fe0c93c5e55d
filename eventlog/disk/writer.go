package disk

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/internal/failpoint"
)

// A writer is the state of the one goroutine that writes.
type writer struct {
	seg   *segment // nil until there is something to write after Open
	file  File
	off   int64  // where the next group goes
	out   []byte // the encoded group
	dirty bool   // written and not synced, at level Interval
	ended error  // why nothing is written any more though nothing failed, or nil
	calls int    // of the last group: how many may come back at once
}

func (w *writer) attach(s *segment, f File) {
	w.seg, w.file, w.off = s, f, s.start
}

// housekeeping is how often age-based retention looks.
const housekeeping = 10 * time.Second

// write is the writer goroutine.
func (l *Log) write() {
	defer close(l.finished)
	keep := time.NewTicker(housekeeping)
	defer keep.Stop()
	flush := l.flushTicker()
	defer flush.Stop()
	for {
		select {
		case <-l.appended:
			l.gather()
			l.commit(l.take())
		case <-l.beat:
			l.commit(l.takeTime())
		case <-keep.C:
			l.age()
		case <-flush.C:
			l.flush()
		case <-l.closed:
			l.commit(l.take())
			l.closeErr = l.shut()
			return
		}
	}
}

// flushTicker ticks at the pace of level Interval, else never.
func (l *Log) flushTicker() *time.Ticker {
	if l.opts.Level <= 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(time.Duration(l.opts.Level))
}

// gather waits until as many callers as were just acknowledged are back, so
// that they share one sync, but no longer than Options.Gather. Even without it
// the writer lets those run that its callbacks made runnable.
func (l *Log) gather() {
	const yields = 4
	for range yields {
		if l.queued() >= l.w.calls {
			return
		}
		runtime.Gosched()
	}
	if l.opts.Gather == 0 || l.w.calls < 2 {
		return
	}
	const step = 50 * time.Microsecond
	for until := time.Now().Add(l.opts.Gather); l.queued() < l.w.calls && time.Now().Before(until); {
		time.Sleep(step)
	}
}

func (l *Log) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.filling.calls)
}

// commit makes g durable and then tells its callers.
func (l *Log) commit(g *pending) {
	if g == nil {
		return
	}
	l.w.calls = len(g.calls)
	err := l.sticky()
	if err == nil {
		err = l.w.ended
	}
	if err == nil && (g.records > 0 || len(g.calls) == 0) {
		err = l.put(g)
		l.w.ended = err // what is refused has sequence numbers: none may follow them
	}
	if err == nil {
		failpoint.Hit("log/before-ack")
	}
	l.finish(g, err)
}

func (l *Log) sticky() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// put writes g, syncs it, and shows it to the readers.
func (l *Log) put(g *pending) error {
	if err := l.room(g.size()); err != nil {
		return err
	}
	w := &l.w
	w.out = g.encode(shrink(w.out), l.id, w.seg.number, w.off)
	failpoint.Hit("log/before-write")
	if _, err := w.file.WriteAt(w.out, w.off); err != nil {
		return l.fail("writing "+fileName(w.seg), err)
	}
	failpoint.Hit("log/after-write")
	w.dirty = true
	if l.opts.Level == Sync {
		if err := l.sync(); err != nil {
			return err
		}
	}
	l.metrics.wrote(g.records, len(w.out))
	l.publish(g, int64(len(w.out)))
	return nil
}

func (l *Log) sync() error {
	start := time.Now()
	if err := l.w.file.Sync(); err != nil {
		return l.fail("syncing "+fileName(l.w.seg), err)
	}
	l.w.dirty = false
	l.metrics.synced(time.Since(start))
	return nil
}

// flush is the sync of level Interval.
func (l *Log) flush() {
	if l.w.dirty && l.sticky() == nil {
		_ = l.sync() // fail has kept and logged the error
	}
}

// publish shows g, n bytes at the writer's offset, to the readers.
func (l *Log) publish(g *pending, n int64) {
	w := &l.w
	l.pub.Lock()
	defer l.pub.Unlock()
	s := w.seg
	if s.marks.due(w.off) {
		s.marks.add(w.off, g.first, l.durable)
	}
	for p := range g.runs {
		l.durable[p] += int64(g.runs[p].count)
		s.next[p] = l.durable[p]
	}
	w.off += n
	s.end, s.last = w.off, g.last
	if g.records > 0 {
		s.youngest = g.last
	}
	s.records += int64(g.records)
	l.time = g.last
	l.wakeReaders()
}

// wakeReaders wakes who waits for l.wake. The caller holds l.pub.
func (l *Log) wakeReaders() {
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
}

// room makes sure that a group of n bytes fits into the current segment.
func (l *Log) room(n int64) error {
	w := &l.w
	if w.seg != nil {
		if w.off+n+footerSize(l.partitions, len(w.seg.marks.offs)+1) <= w.seg.size {
			return nil
		}
		failpoint.Hit("log/segment-roll")
		if err := l.finishSegment(); err != nil {
			return err
		}
	}
	return l.newSegment(n)
}

// finishSegment seals the current segment, if there is one.
func (l *Log) finishSegment() error {
	w := &l.w
	if w.seg == nil {
		return nil
	}
	before := w.seg.size
	if err := l.seal(w.file, w.seg); err != nil {
		return l.fail("sealing "+fileName(w.seg), err)
	}
	w.dirty = false
	l.pub.Lock()
	w.seg.sealed = true
	w.seg.marks, w.seg.indexed = marks{}, false
	l.bytes += w.seg.size - before
	l.wakeReaders()
	l.pub.Unlock()
	err := w.file.Close()
	w.seg, w.file = nil, nil
	if err != nil {
		return l.fail("closing a segment", err)
	}
	return nil
}

// retry is how often a full disk is tried again.
const retry = time.Second

// newSegment begins a segment that holds a group of n bytes at least. It waits
// for a full disk and for required consumers; acknowledgements wait with it.
func (l *Log) newSegment(n int64) error {
	newest := l.newest()
	size := max(l.opts.SegmentBytes, newest.start+n+footerSize(l.partitions, 1))
	for {
		why := l.trim(size)
		if why == "" {
			s, f, err := l.create(newest.number+1, newest.next, newest.last, size)
			if err == nil {
				l.withhold("")
				l.pub.Lock()
				l.segs = append(slices.Clone(l.segs), s)
				l.bytes += s.size
				l.pub.Unlock()
				l.w.attach(s, f)
				return nil
			}
			if !isNoSpace(err) {
				return l.fail("creating a segment", err)
			}
			why = "the disk is full: free space, or keep less (maxBytes, maxAge)"
		}
		l.withhold(why)
		if err := l.waitForRoom(); err != nil {
			return err
		}
	}
}

func (l *Log) newest() *segment {
	l.pub.Lock()
	defer l.pub.Unlock()
	return l.segs[len(l.segs)-1]
}

// withhold notes why acknowledgements wait, and logs it when it begins or ends.
func (l *Log) withhold(why string) {
	l.pub.Lock()
	was := l.why
	l.why = why
	l.pub.Unlock()
	switch {
	case why != "" && was == "":
		l.logger.Error("log cannot grow: acknowledgements are withheld until it can", "reason", why)
	case why == "" && was != "":
		l.logger.Info("log can grow again: acknowledgements go on")
	}
}

func (l *Log) waitForRoom() error {
	t := time.NewTimer(retry)
	defer t.Stop()
	select {
	case <-l.closed:
		return eventlog.ErrClosed
	case <-l.moved:
	case <-t.C:
	}
	return nil
}

// shut ends the writer. After a failure it leaves the file to recovery.
func (l *Log) shut() error {
	l.pub.Lock()
	l.wakeReaders()
	l.pub.Unlock()
	if err := l.sticky(); err != nil {
		if l.w.file != nil {
			err = errors.Join(err, l.w.file.Close())
		}
		return err
	}
	return l.finishSegment()
}
