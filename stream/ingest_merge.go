package stream

import (
	"math"

	"github.com/weir-iot/weir/saql"
)

// A progress is where a merge stands: everything up to and including the event of
// that time, source, record and element is done with.
type progress struct {
	at    saql.Ticks
	rank  int
	seq   int64
	index int
}

// beginning is before all events.
var beginning = progress{at: math.MinInt64}

// A lane is one source's runs as the merge takes them.
type lane struct {
	rank int
	mark saql.Ticks // no later event is before it
	run  *run       // nil: none
	// resume is where to read again all that is not done with.
	resume resume
	read   int64
}

// key orders lanes by what they can give next: the head of the run, or what may
// still come at mark.
func (l *lane) key() saql.Ticks {
	if r := l.run; r != nil && r.next < len(r.events) {
		return r.events[r.next].at
	}
	return l.mark
}

func (l *lane) empty() bool { return l.run == nil || l.run.next == len(l.run.events) }

// A merge makes one stream of the ordered events of several sources, in the
// order of (time, source, seq, element). It gives an event as soon as no other
// source can give one that belongs before it.
type merge struct {
	lanes []lane     // by rank
	done  progress   // what is at or before it was given
	skip  progress   // of a restored merge: what is at or before it is not given again
	until saql.Ticks // events of that time and later are not given
}

// newMerge merges sources of the given ranks that start at the given places.
func newMerge(ranks []int, at []resume) *merge {
	m := &merge{lanes: make([]lane, len(ranks)), skip: beginning, done: beginning, until: math.MaxInt64}
	for i, rank := range ranks {
		m.lanes[i].rank, m.lanes[i].resume, m.lanes[i].read = rank, at[i], at[i].after
	}
	return m
}

// slowest returns the lane that everything waits for.
func (m *merge) slowest() int {
	best := 0
	for i := 1; i < len(m.lanes); i++ {
		if m.lanes[i].key() < m.lanes[best].key() {
			best = i
		}
	}
	return best
}

// put gives a lane its next run; the one before must be empty. It returns the
// run that the lane does not need any more.
func (m *merge) put(i int, r *run) (spare *run) {
	l := &m.lanes[i]
	spare = l.run
	l.run = r
	return spare
}

// next returns the next event and its lane, or none: then that lane needs a run
// before there can be another. At until the lane is -1.
func (m *merge) next() (*event, int) {
	for {
		i := m.slowest()
		l := &m.lanes[i]
		if l.key() >= m.until {
			return nil, -1
		}
		if l.empty() {
			if l.run == nil || !l.finish() {
				return nil, i
			}
			continue
		}
		e := &l.run.events[l.run.next]
		l.run.next++
		if m.skipped(e, l.rank) {
			e.block.done()
			continue
		}
		m.done = progress{e.at, l.rank, e.seq, e.index}
		return e, i
	}
}

// finish takes over what an emptied run says, and reports whether that moved
// the lane.
func (l *lane) finish() bool {
	r := l.run
	moved := r.mark > l.mark
	l.mark, l.resume, l.read = max(l.mark, r.mark), r.resume, r.read
	return moved
}

func (m *merge) skipped(e *event, rank int) bool {
	return !(progress{e.at, rank, e.seq, e.index}).after(m.skip)
}

func (p progress) after(o progress) bool {
	if p.at != o.at {
		return p.at > o.at
	}
	if p.rank != o.rank {
		return p.rank > o.rank
	}
	return p.seq > o.seq || p.seq == o.seq && p.index > o.index
}

// mark returns the watermark of all lanes: no later event is at or before it.
func (m *merge) mark() saql.Ticks { return min(m.lanes[m.slowest()].key(), m.until) - 1 }
