package stream

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// An event is one row of an input on its way to the operators, or a dead letter
// in its place.
type event struct {
	at     saql.Ticks
	seq    int64
	index  int
	values []saql.Value
	dead   *DeadLetter // nil: it is a row
	block  *block      // that holds what values point to
}

// before orders the events of one source.
func (e *event) before(o *event) int {
	return cmp.Or(cmp.Compare(e.at, o.at), cmp.Compare(e.seq, o.seq), cmp.Compare(e.index, o.index))
}

// A block holds the memory of the events of one batch, until the last of them
// is done with. It goes from its source to whoever runs the operators, and back
// through a pool.
type block struct {
	arena  arena
	json   saql.Arena
	values []saql.Value
	start  resume // where to read again what the block holds
	held   int    // events that the source keeps back; the source's
	left   int    // events that are not done with; the taker's
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// maxPooled bounds the memory that a pooled block may keep, in bytes.
const maxPooled = 4 << 20

// done says that one event of the block is done with.
func (b *block) done() {
	if b.left--; b.left == 0 {
		b.free()
	}
}

func (b *block) free() {
	if b.arena.size()+24*cap(b.values) > maxPooled {
		return
	}
	clear(b.values)
	b.values = b.values[:0]
	b.arena.reset()
	b.json.Reset()
	b.start = resume{}
	blocks.Put(b)
}

// A resume is where a source can be started again, and what it knew there.
type resume struct {
	after  int64 // the record before; -1: there is none
	newest saql.Ticks
	over   map[string]saql.Ticks // of substreams
}

// A run is events of one source in order. No later event of the source is
// before mark; all that are not in this run or an earlier one can be had again
// from resume.
type run struct {
	events []event
	next   int // the first that is not done with
	mark   saql.Ticks
	resume resume
	read   int64 // the last record that was read
	counts ingestCounts
}

// errHeld ends a job that would have to keep too many events in memory.
var errHeld = errors.New("stream: too many events are held back to be put in order: lower the job's outOfOrder")

// An intake makes ordered rows of the messages of one partition of one input.
// It is deterministic: runs may be cut differently for other batches, but are
// the same events one after the other.
type intake struct {
	rows  *rowMaker
	line  timeline
	limit int // events that may be held back

	pending []event // in order up to tail, then as they came
	tail    int
	blocks  []*block // those with events in pending, oldest first
	at      resume   // behind the last message
	read    int64
	counts  ingestCounts
}

// ingestCounts are what a source saw.
type ingestCounts struct {
	messages, rows, skipped int64
	undecoded, early, late  int64
	outOfOrder, dropped     int64
}

func newIntake(rows *rowMaker, line timeline, limit int, at resume) *intake {
	s := &intake{rows: rows, line: line, limit: limit, at: at, read: at.after}
	s.line.newest = at.newest
	if s.line.streams != nil {
		maps.Copy(s.line.streams.newest, at.over)
	}
	return s
}

// Bounds of a block. A message may unpack to a thousand times its size, so it is
// what comes out of a batch that is bounded.
const (
	maxBlockText   = 2 << 20 // bytes
	maxBlockEvents = 1 << 16
)

// add takes a batch of the log, as much of it as goes into one block, and
// returns the rest. Nothing of what it took is used afterwards.
func (s *intake) add(msgs []telemetry.Message) (rest []telemetry.Message) {
	if len(msgs) == 0 {
		return nil
	}
	b := blocks.Get().(*block)
	b.start = s.at
	if s.line.streams != nil {
		b.start.over = maps.Clone(s.line.streams.newest)
	}
	before := len(s.pending)
	for i := range msgs {
		if len(b.arena.text) >= maxBlockText || len(s.pending)-before >= maxBlockEvents {
			rest = msgs[i:]
			break
		}
		if msgs[i].Seq > s.read {
			s.message(b, &msgs[i])
		}
	}
	s.at = resume{after: s.read, newest: s.line.newest}
	n := len(s.pending) - before
	if n == 0 {
		b.free()
		return rest
	}
	b.held, b.left = n, n
	s.blocks = append(s.blocks, b)
	return rest
}

func (s *intake) message(b *block, m *telemetry.Message) {
	s.read = m.Seq
	s.counts.messages++
	if m.Source != telemetry.Telemetry {
		s.counts.skipped++
		return
	}
	arrival := saql.TicksOf(m.EnqueuedAt)
	first := len(s.pending)
	s.pending = s.rows.add(s.pending, b, m)
	kept := s.pending[:first]
	for _, e := range s.pending[first:] {
		if e.dead != nil {
			s.counts.undecoded++
			e.at = s.line.aside(arrival)
		} else {
			s.counts.rows++
			s.place(&e, m, arrival)
		}
		kept = append(kept, e)
	}
	s.pending = kept
}

// place gives e its time, or makes it a dead letter.
func (s *intake) place(e *event, m *telemetry.Message, arrival saql.Ticks) {
	if !s.line.own {
		e.at, _, _ = s.line.place(0, arrival, nil)
		return
	}
	own, stream, err := s.rows.time(e, m)
	if err != nil {
		s.counts.undecoded++
		e.at, e.dead = s.line.aside(arrival), s.rows.letter(m, e.index, causeTime, err.Error())
		return
	}
	if m.EnqueuedAt.IsZero() { // of a file that does not tell
		arrival = own
	}
	at, v, dropped := s.line.place(own, arrival, stream)
	switch v {
	case early:
		s.counts.early++
	case late:
		s.counts.late++
	case outOfOrder:
		s.counts.outOfOrder++
	}
	e.at = at
	if dropped {
		s.counts.dropped++
		e.at = s.line.aside(arrival)
		e.dead = s.rows.letter(m, e.index, v.String(), fmt.Sprintf("%s: its time is %s, it arrived at %s", v, own, arrival))
	}
}

// skipTo tells that no record up to seq comes.
func (s *intake) skipTo(seq int64) {
	if seq > s.read {
		s.read, s.at.after = seq, seq
	}
}

// through tells that no later message arrives before t.
func (s *intake) through(t time.Time) {
	if !t.IsZero() {
		s.line.through(saql.TicksOf(t))
	}
}

// cut moves to r what is in order for good. It fails if more is left than may be.
func (s *intake) cut(r *run) error {
	s.order()
	n := len(s.pending)
	for n > 0 && s.pending[n-1].at > s.line.mark {
		n--
	}
	if n == len(s.pending) {
		r.events, s.pending = s.pending, r.events[:0]
	} else {
		r.events = append(r.events[:0], s.pending[:n]...)
		s.pending = slices.Delete(s.pending, 0, n)
	}
	s.tail = len(s.pending)
	s.released(r.events)
	r.next, r.mark, r.resume, r.read, r.counts = 0, s.line.mark, s.at, s.read, s.counts
	if len(s.blocks) > 0 {
		r.resume = s.blocks[0].start
	} else if s.line.streams != nil {
		r.resume.over = maps.Clone(s.line.streams.newest)
	}
	if len(s.pending) > s.limit {
		return fmt.Errorf("%w (%d events, at most %d)", errHeld, len(s.pending), s.limit)
	}
	if n := s.heldText() / heldEvent; n > s.limit {
		return fmt.Errorf("%w (%d KB, at most %d)", errHeld, n, s.limit)
	}
	return nil
}

// heldEvent is the size that an event may have on average where as many are held
// back as may be, in bytes.
const heldEvent = 1 << 10

// heldText is the size of the bodies of which something is held back, in bytes.
func (s *intake) heldText() (n int) {
	for _, b := range s.blocks {
		n += len(b.arena.text)
	}
	return n
}

func (s *intake) released(events []event) {
	for i := range events {
		events[i].block.held--
	}
	// Also those in the middle: their taker gives them back to the pool.
	s.blocks = slices.DeleteFunc(s.blocks, func(b *block) bool { return b.held == 0 })
}

// order brings what came after tail to its place.
func (s *intake) order() {
	tail := s.pending[s.tail:]
	byPlace := func(a, b event) int { return a.before(&b) }
	if !slices.IsSortedFunc(tail, byPlace) {
		slices.SortFunc(tail, byPlace)
	}
	if s.tail == 0 || len(tail) == 0 || s.pending[s.tail-1].before(&tail[0]) < 0 {
		return
	}
	// Merge from the back, so that only what is newer than the tail moves.
	came := slices.Clone(tail)
	to, i := len(s.pending), s.tail
	for k := len(came); k > 0; {
		to--
		if i > 0 && s.pending[i-1].before(&came[k-1]) > 0 {
			i--
			s.pending[to] = s.pending[i]
		} else {
			k--
			s.pending[to] = came[k]
		}
	}
}
