package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/internal/jsonscan"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// A Replay runs a program over events that are there already, to their end: of
// files, or of a log's past. At the end all windows that hold something close.
// It gives the same rows whenever and wherever it runs.
type Replay struct {
	Program *Program
	Ingest  IngestOptions
	// Policy is what happens to events out of order; nil: there are none, since
	// all events of an input with TIMESTAMP BY are put in order of their own time
	// first, as the test runs of Stream Analytics do. That takes memory for all of
	// them.
	Policy *Policy
	// Arrival is that of records of files that do not say theirs, where the
	// query has no TIMESTAMP BY to go by.
	Arrival time.Time
	// Now is when a log is read to its end, which goes on: windows that end later
	// stay open. The zero time closes all, as is right for files.
	Now time.Time
	// Row takes the rows, valid during the call. An error ends the replay.
	Row func(output OutputPlan, row *saql.Row) error
	// Dead takes what could not be used, in the same order; nil: it is counted
	// only. An error ends the replay.
	Dead func(*DeadLetter) error
}

// A ReplayEnd is what a replay saw.
type ReplayEnd struct {
	Events     int64 // rows that came in
	Rows       int64 // rows that came out
	Undecoded  int64 // bodies and records that are no rows
	Failed     int64 // rows that the query failed on
	Early      int64 // dropped
	Late       int64 // adjusted or dropped
	OutOfOrder int64 // adjusted or dropped
	Dropped    int64 // of the three
	// Watermark is the time of the newest event, 0 without events; with Now it is
	// that up to which windows are closed.
	Watermark saql.Ticks
}

// enqueuedField is the field of a record in a file that tells when it arrived.
const enqueuedField = "EventEnqueuedUtcTime"

// Records replays records of files, each a JSON object, by input alias in any
// case. An input without records is empty; an unknown one is an error.
func (r *Replay) Records(ctx context.Context, inputs map[string]iter.Seq2[json.RawMessage, error]) (ReplayEnd, error) {
	plans := r.Program.Inputs()
	var feeds []feed
	used := make(map[string]bool)
	for i, plan := range plans {
		var records iter.Seq2[json.RawMessage, error] = func(func(json.RawMessage, error) bool) {}
		for alias, of := range inputs {
			if strings.EqualFold(alias, plan.Alias) {
				used[alias], records = true, of
			}
		}
		feeds = append(feeds, feed{feedPlan{input: i}, r.batches(records, plan.Timestamp != nil)})
	}
	for alias := range inputs {
		if !used[alias] {
			return ReplayEnd{}, fmt.Errorf("stream: replaying: the query reads no input %q", alias)
		}
	}
	return r.run(ctx, feeds, true)
}

// A Past is the part of a log that a replay reads: from the first to the last
// position, of all partitions.
type Past struct {
	Log         eventlog.Reader
	From, Until eventlog.Position
}

// Log replays the past of logs, by input alias in any case.
func (r *Replay) Log(ctx context.Context, inputs map[string]Past) (ReplayEnd, error) {
	var feeds []feed
	partitions := 0
	byInput := make([]Past, len(r.Program.Inputs()))
	for i, plan := range r.Program.Inputs() {
		for alias, past := range inputs {
			if strings.EqualFold(alias, plan.Alias) {
				byInput[i] = past
			}
		}
		if byInput[i].Log == nil {
			return ReplayEnd{}, fmt.Errorf("stream: replaying: the input %s has no log", plan.Alias)
		}
		n, err := byInput[i].Log.Partitions(ctx)
		if err != nil {
			return ReplayEnd{}, fmt.Errorf("stream: replaying %s: %w", plan.Alias, err)
		}
		partitions = max(partitions, n)
	}
	for p := range partitions {
		for i, past := range byInput {
			if n, _ := past.Log.Partitions(ctx); p < n {
				at, end := eventlog.Positions{p: past.From}, eventlog.Positions{p: past.Until}
				feeds = append(feeds, feed{feedPlan{i, p}, past.Log.Read(ctx, at, end)})
			}
		}
	}
	return r.run(ctx, feeds, false)
}

// A feed is a source and what it reads, by rank.
type feed struct {
	feedPlan
	batches iter.Seq2[eventlog.Batch, error]
}

// replaying is one run of a Replay.
type replaying struct {
	*Replay
	end     ReplayEnd
	sources []*intake
	next    []func() (eventlog.Batch, error, bool)
	spare   []*run
	rest    [][]telemetry.Message // of a batch that is not taken whole yet
}

func (r *Replay) run(ctx context.Context, feeds []feed, offline bool) (ReplayEnd, error) {
	s := &replaying{Replay: r}
	inputs := r.Program.Inputs()
	s.spare, s.rest = make([]*run, len(feeds)), make([][]telemetry.Message, len(feeds))
	var plans []feedPlan
	var starts []resume
	for _, f := range feeds {
		next, stop := iter.Pull2(f.batches)
		defer stop()
		s.next = append(s.next, next)
		plans, starts = append(plans, f.feedPlan), append(starts, resume{after: -1})
		plan := inputs[f.input]
		s.sources = append(s.sources, newIntake(newRowMaker(plan, r.Ingest, offline), r.line(plan), math.MaxInt, resume{after: -1}))
	}
	p := newPump(plans, starts, len(inputs), r.Program.New(s.failed))
	outputs := r.Program.Outputs()
	p.sink = func(output int, row *saql.Row) error {
		s.end.Rows++
		return r.Row(outputs[output], row)
	}
	p.dead = func(input int, e *event) error {
		e.dead.Input = inputs[input].Alias
		return s.dead(e.dead)
	}
	err := s.pump(ctx, p)
	s.end.Events = p.events
	for _, src := range s.sources {
		s.count(src)
	}
	if !r.Now.IsZero() {
		s.end.Watermark = p.advanced
	}
	if err != nil {
		return s.end, fmt.Errorf("stream: replaying: %w", err)
	}
	return s.end, nil
}

func (r *Replay) line(plan InputPlan) timeline {
	own := plan.Timestamp != nil
	switch {
	case r.Policy != nil:
		return newTimeline(own, len(plan.Over) > 0, *r.Policy)
	case own:
		return timeline{own: true, sorted: true}
	default:
		return newTimeline(false, false, Policy{}) // in the order of arrival already
	}
}

// pump pulls batches for the feed that everything waits for, until all have ended.
func (s *replaying) pump(ctx context.Context, p *pump) error {
	for {
		i, err := p.drain()
		if err != nil {
			return err
		}
		if s.next[i] == nil {
			return nil // the slowest has ended: all have
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.take(p, i); err != nil {
			return err
		}
		src := s.sources[i]
		r := s.spare[i]
		if r == nil {
			r = new(run)
		}
		if err := src.cut(r); err != nil {
			return err
		}
		s.spare[i] = p.merge.put(i, r)
	}
}

// take adds to a feed what its newest batch has, or the next one, or its end.
func (s *replaying) take(p *pump, feed int) error {
	src := s.sources[feed]
	if rest := s.rest[feed]; len(rest) > 0 {
		s.rest[feed] = src.add(rest)
		return nil
	}
	b, err, ok := s.next[feed]()
	if err != nil {
		return err
	}
	if !ok {
		s.ended(p, feed)
		return nil
	}
	s.rest[feed] = src.add(b.Messages)
	src.through(b.Through)
	return nil
}

// ended lets all events of a feed pass that has no more of them.
func (s *replaying) ended(p *pump, feed int) {
	src := s.sources[feed]
	if !s.Now.IsZero() {
		src.through(s.Now)
		p.ceiling = min(p.ceiling, src.line.mark-1)
	}
	src.line.mark = saql.MaxTicks + 1
	s.next[feed] = nil
}

func (s *replaying) failed(e *RowError) error {
	s.end.Failed++
	return s.dead(deadRow(e))
}

func (s *replaying) dead(d *DeadLetter) error {
	if s.Dead == nil {
		return nil
	}
	return s.Dead(d)
}

func (s *replaying) count(src *intake) {
	c := src.counts
	s.end.Undecoded += c.undecoded
	s.end.Early += c.early
	s.end.Late += c.late
	s.end.OutOfOrder += c.outOfOrder
	s.end.Dropped += c.dropped
	if src.line.newest > s.end.Watermark {
		s.end.Watermark = src.line.newest
	}
}

// recordsPerBatch is how many records of a file go together.
const recordsPerBatch = 256

// batches makes records the messages of one partition.
func (r *Replay) batches(records iter.Seq2[json.RawMessage, error], own bool) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		var msgs []telemetry.Message
		var seq int64
		last := r.Arrival
		flush := func() bool {
			ok := len(msgs) == 0 || yield(eventlog.Batch{Messages: msgs}, nil)
			msgs = msgs[:0]
			return ok
		}
		for record, err := range records {
			if err != nil {
				yield(eventlog.Batch{}, err)
				return
			}
			arrival, known := arrivalOf(record)
			if !known {
				arrival = last
			}
			last = arrival
			m := telemetry.Message{Body: append([]byte(nil), record...), Seq: seq, EnqueuedAt: arrival}
			if seq++; !known && own {
				m.EnqueuedAt = time.Time{} // as old as its own time
			}
			if msgs = append(msgs, m); len(msgs) == recordsPerBatch && !flush() {
				return
			}
		}
		flush()
	}
}

// arrivalOf returns when a record says that it arrived.
func arrivalOf(record []byte) (time.Time, bool) {
	rows, err := jsonscan.Rows(record, enqueuedField, nil)
	if err != nil || len(rows) != 1 || rows[0].Field == nil {
		return time.Time{}, false
	}
	v, err := saql.Convert(saql.String(string(rows[0].Field)), saql.KindDatetime)
	if err != nil {
		return time.Time{}, false
	}
	return v.Datetime().Time(), true
}
