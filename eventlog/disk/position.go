package disk

import (
	"fmt"
	"math"
	"time"

	"github.com/weir-iot/weir/eventlog"
)

// A follow is where one partition of a read begins and ends.
type follow struct {
	active bool  // named by from, and not at its end
	seq    int64 // the next record to deliver has this sequence number or more,
	since  int64 // and this time (µs) or more
	end    int64 // the last sequence number to deliver
	until  int64 // µs: records from then on are not delivered
}

const never = math.MaxInt64

// resolve turns positions into follows. The caller holds l.pub.
func (l *Log) resolve(from, until eventlog.Positions) ([]follow, error) {
	fs := make([]follow, l.partitions)
	for p, pos := range from {
		if p < 0 || p >= l.partitions {
			return nil, fmt.Errorf("eventlog/disk: no partition %d: there are %d, from 0", p, l.partitions)
		}
		f := follow{active: true, since: math.MinInt64, end: never, until: never}
		oldest, next := l.segs[0].base[p], l.durable[p]
		switch f.seq = oldest; pos.Kind {
		case eventlog.KindAfter:
			f.seq = pos.Seq + 1
		case eventlog.KindAt:
			f.since = ceilMicro(pos.Time)
		case eventlog.KindLatest:
			f.seq = next
		}
		if f.seq < oldest {
			return nil, eventlog.ErrTrimmed{Partition: p, Oldest: oldest}
		}
		if f.seq > next {
			return nil, eventlog.ErrAhead{Partition: p, Next: next}
		}
		if pos, ok := until[p]; ok {
			f.endAt(pos, oldest, next)
		}
		f.active = f.end >= f.seq
		fs[p] = f
	}
	return fs, nil
}

func (f *follow) endAt(pos eventlog.Position, oldest, next int64) {
	switch pos.Kind {
	case eventlog.KindOldest:
		f.end = oldest - 1
	case eventlog.KindAfter:
		f.end = pos.Seq
	case eventlog.KindAt:
		f.until = ceilMicro(pos.Time)
	case eventlog.KindLatest:
		f.end = next - 1
	}
}

// ceilMicro is the first microsecond that is not before t.
func ceilMicro(t time.Time) int64 {
	us := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		us++
	}
	return us
}

// reaches tells whether f wants nothing of what is before a place in the log:
// records before next, none later than last.
func (f *follow) reaches(last, next int64) bool {
	return !f.active || next <= f.seq || last < f.since
}

// begin returns the newest segment before which nothing is to be delivered. The
// caller holds l.pub.
func (l *Log) begin(fs []follow) *segment {
	for i := len(l.segs) - 1; i > 0; i-- {
		if reachAll(fs, l.segs[i].floor, l.segs[i].base) {
			return l.segs[i]
		}
	}
	return l.segs[0]
}

func reachAll(fs []follow, last int64, next []int64) bool {
	for p := range fs {
		if !fs[p].reaches(last, next[p]) {
			return false
		}
	}
	return true
}

// seek returns the offset in s, whose file is open, where a reader begins. It
// is the end where everything durable is behind the reader.
func (l *Log) seek(s *segment, f File, fs []follow) (int64, error) {
	l.pub.Lock()
	if s == l.segs[len(l.segs)-1] && reachAll(fs, l.time, l.durable) {
		defer l.pub.Unlock()
		return s.end, nil
	}
	indexed, m := s.indexed, s.marks
	l.pub.Unlock()
	if !indexed { // sealed: the footer has them
		size, err := f.Size()
		if err != nil {
			return 0, err
		}
		t := segment{number: s.number, base: s.base, start: s.start}
		if ok, err := t.readFooter(f, size, l.id); err != nil {
			return 0, err
		} else if ok {
			m = t.marks
		}
	}
	return m.seek(s.start, l.partitions, func(first int64, next []int64) bool {
		return reachAll(fs, first, next) // what is before the mark may have its very time
	}), nil
}
