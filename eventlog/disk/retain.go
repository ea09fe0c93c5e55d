package disk

import (
	"fmt"
	"maps"
	"slices"
)

// Require implements eventlog.Retainer.
func (l *Log) Require(consumer string, durable map[int]int64) {
	durable = maps.Clone(durable)
	l.pub.Lock()
	l.held[consumer] = durable
	l.pub.Unlock()
	notify(l.moved)
}

// trim removes the oldest segments that are past MaxAge, or that MaxBytes has
// no room for when another size bytes come. It returns why that room cannot be
// made, or "".
func (l *Log) trim(size int64) (why string) {
	for {
		l.pub.Lock()
		oldest := l.segs[0]
		expired := l.opts.MaxAge > 0 && oldest.youngest < l.opts.Now().Add(-l.opts.MaxAge).UnixMicro()
		full := l.opts.MaxBytes > 0 && l.bytes+size > l.opts.MaxBytes
		if !expired && !full || len(l.segs) == 1 || !oldest.sealed {
			l.pub.Unlock()
			return ""
		}
		if who := l.holder(oldest); who != "" {
			l.pub.Unlock()
			if !full {
				return ""
			}
			return fmt.Sprintf("the log is full and %s still needs its oldest records: see why it lags, or keep more (maxBytes)", who)
		}
		l.segs = slices.Clone(l.segs[1:])
		l.bytes -= oldest.size
		l.pub.Unlock()
		l.remove(oldest)
	}
}

// holder returns a required consumer that needs records of s, or "". The
// caller holds l.pub.
func (l *Log) holder(s *segment) string {
	for _, name := range slices.Sorted(maps.Keys(l.held)) {
		for p := range s.next {
			if s.next[p] == s.base[p] {
				continue
			}
			if seq, ok := l.held[name][p]; !ok || seq < s.next[p]-1 {
				return name
			}
		}
	}
	return ""
}

// remove deletes the file of a segment that readers no longer find. Those that
// have it open read on.
func (l *Log) remove(s *segment) {
	l.files.Lock()
	defer l.files.Unlock()
	s.handle.removed = true
	if err := l.opts.FS.Remove(segmentName(l.dir, s.number)); err != nil {
		l.logger.Error("an expired segment could not be removed: remove it by hand", "segment", fileName(s), "error", err)
		return
	}
	l.logger.Debug("expired segment removed", "segment", fileName(s))
}

// age applies MaxAge, also to the segment that is being written.
func (l *Log) age() {
	if l.opts.MaxAge == 0 || l.sticky() != nil {
		return
	}
	limit := l.opts.Now().Add(-l.opts.MaxAge).UnixMicro()
	if s := l.w.seg; s != nil && s.records > 0 && s.youngest < limit {
		_ = l.finishSegment() // fail has kept and logged the error
	}
	l.trim(0)
}
