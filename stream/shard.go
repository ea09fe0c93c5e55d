package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/internal/failpoint"
	"github.com/weir-iot/weir/saql"
)

// deadOutput names the dead letters among the ordinals of a shard.
const deadOutput = "$deadletter"

// A shard runs one instance of a job's program: one goroutine per feed reads and
// decodes, one runs the operators, writes to the outputs and saves the state.
type shard struct {
	job         *Job
	index       int
	fingerprint string
	version     string // of what saved the newest checkpoint
	feeds       []feedPlan
	resumes     []resume
	starts      []eventlog.Position
	intakes     []*intake
	pump        *pump
	lanes       []chan *run // to the pump
	spare       []chan *run // back
	ends        []int64     // by feed: the newest record when the shard began
	pauses      chan pause
	ctx         context.Context // of writing

	writers map[string]*writer // by output
	byIndex []*writer          // by index in Program.Outputs
	dead    *writer

	checkpoints *checkpoints
	saved       checkpoint // what the newest checkpoint says, less its state
	durable     []map[int]int64
	previous    []map[int]int64 // of the checkpoint before
}

// linger is how long rows wait for more while events keep coming.
const jobLinger = 50 * time.Millisecond

func (j *Job) newShard(g *generation, index int, feeds []feedPlan) *shard {
	s := &shard{
		job: j, index: index, fingerprint: g.Fingerprint, version: g.Version, feeds: feeds,
		resumes: make([]resume, len(feeds)), starts: make([]eventlog.Position, len(feeds)),
		pauses: make(chan pause), ends: make([]int64, len(feeds)), writers: make(map[string]*writer),
		checkpoints: newCheckpoints(j.o.Bucket, j.o.Name, g.Number, index),
	}
	for _, name := range j.outs {
		s.writers[strings.ToLower(name)] = &writer{
			shard: Shard{j.o.Name, name, g.id(), index}, out: lookup(j.o.Outputs, name), schema: make(map[int]*saql.Schema),
		}
	}
	for i, out := range j.o.Program.Outputs() {
		w := s.writers[strings.ToLower(out.Name)]
		w.schema[i] = &out.Schema
		s.byIndex = append(s.byIndex, w)
	}
	if j.o.Dead != nil {
		s.dead = &writer{shard: Shard{j.o.Name, deadOutput, g.id(), index}, out: j.o.Dead}
		s.writers[deadOutput] = s.dead
	}
	return s
}

// build makes the sources and the pump that start at resumes.
func (s *shard) build() {
	s.pump = newPump(s.feeds, s.resumes, len(s.job.plans), s.job.o.Program.New(s.failed))
	s.pump.sink = s.sink
	s.pump.dead = s.deadEvent
	s.intakes = nil
	for i, f := range s.feeds {
		plan := s.job.plans[f.input]
		line := newTimeline(plan.Timestamp != nil, len(plan.Over) > 0, s.job.o.Policy)
		s.intakes = append(s.intakes, newIntake(newRowMaker(plan, s.job.o.Ingest, false), line, s.job.o.Held, s.resumes[i]))
		s.lanes = append(s.lanes, make(chan *run, 1))
		s.spare = append(s.spare, make(chan *run, 3))
	}
}

// run runs the shard until ctx ends or something fails for good.
func (s *shard) run(ctx context.Context) error {
	reading, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for i := range s.feeds {
		wg.Go(func() {
			if err := s.read(reading, i); err != nil {
				stop(err)
			}
		})
	}
	err := s.loop(reading)
	stop(nil)
	wg.Wait()
	return err
}

// loop processes runs as they come, until ctx ends.
func (s *shard) loop(ctx context.Context) error {
	tick := time.NewTicker(jobLinger)
	defer tick.Stop()
	save := time.NewTicker(s.job.o.CheckpointEvery)
	defer save.Stop()
	// What a feed failed on does not keep us from saving what we have.
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })()
	s.ctx = working
	if s.version != s.job.o.Version { // before there are rows of ours
		if err := s.checkpoint(working); err != nil {
			return err
		}
	}
	for {
		feed, err := s.pump.drain()
		if err != nil {
			return errors.Join(err, s.write(working))
		}
		if feed < 0 {
			return s.stopAtCut(working)
		}
		s.job.stats.advanced(s)
		if r := s.poll(feed); r != nil {
			select {
			case <-tick.C:
				err = s.write(working)
			case <-save.C:
				err = s.checkpoint(working)
			case p := <-s.pauses:
				s.pause(ctx, p)
			case <-ctx.Done():
				return s.finish(ctx, working)
			default:
			}
			s.put(feed, r)
		} else if err = s.write(working); err == nil {
			select {
			case r := <-s.lanes[feed]:
				s.put(feed, r)
			case <-save.C:
				err = s.checkpoint(working)
			case p := <-s.pauses:
				s.pause(ctx, p)
			case <-ctx.Done():
				return s.finish(ctx, working)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (s *shard) poll(feed int) *run {
	select {
	case r := <-s.lanes[feed]:
		return r
	default:
		return nil
	}
}

func (s *shard) put(feed int, r *run) {
	s.job.stats.took(s, feed, r)
	if old := s.pump.merge.put(feed, r); old != nil {
		select {
		case s.spare[feed] <- old:
		default:
		}
	}
}

// finish saves where the shard is.
func (s *shard) finish(ctx, working context.Context) error {
	if err := s.checkpoint(working); err != nil {
		return err
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err // what a feed, or another shard, failed on
	}
	return nil
}

// stopAtCut saves the moment of the cut: all events before it are processed.
func (s *shard) stopAtCut(ctx context.Context) error {
	s.pump.merge.done = progress{at: s.pump.merge.until, rank: -1}
	return s.checkpoint(ctx)
}

// A pause holds a shard still until it is told where to stop for good.
type pause struct {
	at    chan<- saql.Ticks // how far it has come
	until <-chan saql.Ticks // where to stop; closed: go on
}

func (s *shard) pause(ctx context.Context, p pause) {
	p.at <- max(s.pump.merge.done.at, s.pump.advanced)
	select {
	case until, ok := <-p.until:
		if ok {
			s.pump.merge.until = until
		}
	case <-ctx.Done():
	}
}

// read follows one feed and hands on what becomes of it.
func (s *shard) read(ctx context.Context, i int) error {
	f := s.feeds[i]
	from := eventlog.Positions{f.partition: s.starts[i]}
	doing := fmt.Sprintf("reading partition %d of %s", f.partition, s.job.plans[f.input].Alias)
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		progress := false
		err := errEnded
		for b, readErr := range s.job.logs[f.input].Read(ctx, from, nil) {
			if err = readErr; err != nil {
				break
			}
			if !progress {
				s.job.stats.recovered(attempt{doing, s.index})
			}
			progress = true
			if err = s.hand(ctx, i, b); err != nil {
				break
			}
			err = errEnded
		}
		var ahead eventlog.ErrAhead
		var trimmed eventlog.ErrTrimmed
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errHeld), errors.Is(err, eventlog.ErrClosed), errors.As(err, &ahead), errors.As(err, &trimmed):
			return err
		}
		if progress {
			wait = firstWait
		}
		s.trouble(doing, err)
		if !sleep(ctx, wait) {
			return nil
		}
		if read := s.intakes[i].read; read >= 0 {
			from[f.partition] = eventlog.After(read)
		}
	}
}

func (s *shard) hand(ctx context.Context, i int, b eventlog.Batch) error {
	in := s.intakes[i]
	for rest := in.add(b.Messages); len(rest) > 0; rest = in.add(rest) {
		if err := s.send(ctx, i); err != nil {
			return err
		}
	}
	in.through(b.Through)
	if len(b.Messages) == 0 {
		in.skipTo(s.ends[i]) // all that was there when we began is before our start
	}
	return s.send(ctx, i)
}

// send hands on what is in order for good.
func (s *shard) send(ctx context.Context, i int) error {
	var r *run
	select {
	case r = <-s.spare[i]:
	default:
		r = new(run)
	}
	if err := s.intakes[i].cut(r); err != nil {
		return err
	}
	select {
	case s.lanes[i] <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sink takes the rows of the program.
func (s *shard) sink(output int, row *saql.Row) error {
	if s.pump.muted != nil {
		return nil
	}
	s.job.stats.rows.Add(1)
	if w := s.byIndex[output]; w.add(output, row, s.job.o.BatchBytes) {
		return s.writeTo(s.ctx, w)
	}
	return nil
}

func (s *shard) deadEvent(input int, e *event) error {
	e.dead.Input = s.job.plans[input].Alias
	return s.deadLetter(e.at, e.dead)
}

func (s *shard) failed(e *RowError) error {
	return s.deadLetter(s.pump.instance.now, deadRow(e))
}

// deadLetter keeps what cannot be used, or ends the job.
func (s *shard) deadLetter(at saql.Ticks, d *DeadLetter) error {
	dropped := d.Cause == early.String() || d.Cause == late.String() || d.Cause == outOfOrder.String()
	if s.job.o.StopOnError && !dropped {
		return fmt.Errorf("%w: %s (partition %d, record %d, element %d)", ErrJobFailed, d.Reason, d.Partition, d.Seq, d.Index)
	}
	if s.pump.muted != nil {
		return nil
	}
	s.job.stats.deadLetters.Add(1)
	s.job.note(slog.LevelWarn, d.Cause, "an event or row cannot be used; it is kept as a dead letter", "reason", d.Reason, "partition", d.Partition, "seq", d.Seq)
	if s.dead != nil {
		data, err := s.job.deadJSON(d)
		if err != nil {
			return err
		}
		if s.dead.addJSON(at, data, s.job.o.BatchBytes) {
			return s.writeTo(s.ctx, s.dead)
		}
	}
	return nil
}

func (j *Job) deadJSON(d *DeadLetter) ([]byte, error) {
	return json.Marshal(struct {
		Job string `json:"job"`
		*DeadLetter
	}{j.o.Name, d})
}

// checkpoint saves the state behind all rows that were made.
func (s *shard) checkpoint(ctx context.Context) error {
	if err := s.write(ctx); err != nil {
		return err
	}
	c := s.state()
	// Where nothing is new, the one before is replaced yet: a log that is full gives
	// nothing new until it need not keep what only that one needs.
	if sameState(&c, &s.saved) && reflect.DeepEqual(s.previous, s.durable) {
		return nil
	}
	failpoint.Hit("job/checkpoint")
	for _, name := range slices.Sorted(maps.Keys(s.writers)) {
		w := s.writers[name]
		if err := s.retry(ctx, "flushing the output "+w.shard.Output, func() error { return w.out.Flush(ctx) }); err != nil {
			return err
		}
	}
	c.state = s.pump.instance.Snapshot(nil)
	err := s.retry(ctx, "saving a checkpoint", func() error { return s.checkpoints.save(ctx, &c) })
	if errors.Is(err, blob.ErrChanged) {
		return ErrTakenOver
	}
	if err != nil {
		return err
	}
	c.state = nil
	s.saved = c
	s.previous, s.durable = s.durable, s.positions()
	s.job.require(s.index, s.previous) // the one before may be needed yet
	s.job.stats.saved(s.index, s.checkpoints.size)
	return nil
}

// state is the checkpoint of this moment, less the instance's state.
func (s *shard) state() checkpoint {
	c := checkpoint{
		Fingerprint: s.fingerprint, Version: s.job.o.Version, Shard: s.index,
		Done: s.pump.merge.done.event(), Advanced: s.pump.advanced, Muted: s.pump.muted,
		Next: make(map[string]Ordinal), Has: make(map[string]Ordinal),
	}
	for i, f := range s.feeds {
		c.Feeds = append(c.Feeds, f.checkpoint(s.pump.merge.lanes[i].resume))
	}
	for name, w := range s.writers {
		c.Next[name], c.Has[name] = w.next, w.has
	}
	return c
}

// sameState reports that there is nothing new to save.
func sameState(a, b *checkpoint) bool {
	x, y := *a, *b
	x.Number, y.Number = 0, 0
	return reflect.DeepEqual(x, y)
}
