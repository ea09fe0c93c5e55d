package stream

import (
	"time"

	"github.com/weir-iot/weir/saql"
)

// Early is how far an event's own time may be ahead of its arrival; what is
// further ahead is dropped. It is the same for all jobs.
const Early = 5 * time.Minute

// A Policy is what a job does about events whose own time, that of TIMESTAMP
// BY, is not in the order of their arrival. Without TIMESTAMP BY the time of an
// event is its arrival, and there is nothing to do.
type Policy struct {
	// Late is how far an event's time may be behind its arrival, at most 20 days.
	// It is also how long an idle partition holds back the others.
	Late time.Duration
	// OutOfOrder is how far it may be behind the newest of its partition: events
	// within are put in order, which delays all rows by as much.
	OutOfOrder time.Duration
	// Drop drops events beyond Late and OutOfOrder; else their time is set to
	// the oldest that is allowed.
	Drop bool
}

// DefaultPolicy is that of Stream Analytics: 5 s late, none out of order, adjust.
func DefaultPolicy() Policy { return Policy{Late: 5 * time.Second} }

func ticks(d time.Duration) saql.Ticks { return saql.Ticks(d / 100) }

// A verdict is what became of an event's time.
type verdict uint8

const (
	onTime verdict = iota
	early          // dropped
	late
	outOfOrder
)

func (v verdict) String() string {
	switch v {
	case early:
		return "early"
	case late:
		return "late"
	case outOfOrder:
		return "out of order"
	default:
		return "on time"
	}
}

// A timeline gives the events of one partition of one input their times. What
// it decides depends on the events before alone, never on how they were
// batched: an empty partition's Through only moves the mark, and no later
// event can be before that (time-handling, "How time progresses").
type timeline struct {
	own      bool // events have a time of their own: TIMESTAMP BY
	sorted   bool // all events are there before the first is given: none is out of order; own
	late     saql.Ticks
	disorder saql.Ticks
	drop     bool
	streams  *substreams // of OVER; nil: one timeline for all

	newest saql.Ticks // the newest time that was given
	mark   saql.Ticks // the watermark: no later event is before it
}

func newTimeline(own, over bool, p Policy) timeline {
	l := timeline{own: own}
	if own {
		l.late, l.disorder, l.drop = ticks(p.Late), ticks(p.OutOfOrder), p.Drop
	}
	if own && over {
		l.streams = &substreams{newest: make(map[string]saql.Ticks)}
	}
	return l
}

// place returns the time of the event of that own time, arrival and substream,
// and whether it is dropped.
func (l *timeline) place(own, arrival saql.Ticks, stream []byte) (at saql.Ticks, v verdict, dropped bool) {
	switch {
	case l.sorted:
		l.newest = max(l.newest, own)
		return own, onTime, false
	case !l.own:
		l.newest = max(l.newest, arrival)
		l.mark = max(l.mark, arrival)
		return l.newest, onTime, false
	}
	if own > arrival+ticks(Early) {
		return own, early, true
	}
	at = own
	if oldest := arrival - l.late; at < oldest {
		if l.drop {
			return at, late, true
		}
		at, v = oldest, late
	}
	newest := l.newest
	if l.streams != nil {
		newest = l.streams.newest[string(stream)]
	}
	if oldest := newest - l.disorder; at < oldest {
		if l.drop {
			return at, outOfOrder, true
		}
		at, v = oldest, outOfOrder
	}
	l.saw(at, arrival, stream)
	return at, v, false
}

// aside returns the time of what arrived but has no time of its own, such as a
// body that cannot be decoded: the oldest that it could have.
func (l *timeline) aside(arrival saql.Ticks) saql.Ticks {
	if l.streams != nil || l.sorted {
		return arrival - l.late
	}
	return max(arrival-l.late, l.newest-l.disorder)
}

// saw moves the watermark by an event that was placed.
func (l *timeline) saw(at, arrival saql.Ticks, stream []byte) {
	if l.streams == nil {
		l.newest = max(l.newest, at)
		l.mark = max(l.mark, l.newest-l.disorder)
		return
	}
	l.streams.saw(stream, at, arrival-l.late+l.disorder)
	l.mark = max(l.mark, arrival-l.late)
}

// through moves the watermark by the time that passed without an event: the
// next one arrives at t or later, and is no later than allowed.
func (l *timeline) through(t saql.Ticks) { l.mark = max(l.mark, t-l.late) }

// substreams are the timelines of OVER: events are out of order among those of
// their own substream only, while Late holds for all. Substreams may be as far
// apart as Late allows, so the partition's watermark is the arrival less Late.
type substreams struct {
	newest map[string]saql.Ticks
	sweep  int // the size at which those are forgotten that cannot matter
}

const minSweep = 1024

func (s *substreams) saw(stream []byte, at, horizon saql.Ticks) {
	if old, ok := s.newest[string(stream)]; ok && old >= at {
		return
	}
	s.newest[string(stream)] = at
	if len(s.newest) < max(s.sweep, minSweep) {
		return
	}
	for k, newest := range s.newest {
		// No event comes any more that is so old that this one tells against it.
		if newest <= horizon {
			delete(s.newest, k)
		}
	}
	s.sweep = 2 * len(s.newest)
}
