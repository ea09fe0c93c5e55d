package stream

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/saql"
)

// How a job goes on after Apply.
type How string

// The ways.
const (
	Started   How = "started"   // a new job
	Continued How = "continued" // from the old version's checkpoint
	Replayed  How = "replayed"  // its state is built again from the log
	Unchanged How = "unchanged" // the old version is the same
)

// Applied says how a job goes on.
type Applied struct {
	Created bool // there was no such job
	How     How
	Detail  string // the same in words, with the reason
}

// Apply makes or replaces a job and starts it. It compiles first: after an error
// the old version goes on. The rows of the old version end where those of the
// new one begin: between two events, in the order of their time.
func (m *Jobs) Apply(ctx context.Context, c JobConfig) (Applied, error) {
	if err := checkJobName(c.Name); err != nil {
		return Applied{}, err
	}
	p, err := m.o.Compile(c)
	if err != nil {
		return Applied{}, err
	}
	if _, err := m.runner(c, p); err != nil {
		return Applied{}, err
	}
	e, known, err := m.claim(c.Name)
	if err != nil {
		return Applied{}, err
	}
	defer e.change.Unlock()
	applied, err := m.replace(ctx, e, c, p)
	if err != nil && !known {
		m.mu.Lock()
		delete(m.entries, c.Name)
		m.mu.Unlock()
	}
	applied.Created = !known
	return applied, err
}

// claim returns the job of that name, or makes it, locked for a change.
func (m *Jobs) claim(name string) (e *jobEntry, known bool, err error) {
	for {
		m.mu.Lock()
		if m.ctx == nil {
			m.mu.Unlock()
			return nil, false, errNotUp
		}
		if _, known = m.entries[name]; !known {
			e = &jobEntry{state: JobStopped}
			e.change.Lock()
			m.entries[name] = e
			m.mu.Unlock()
			return e, false, nil
		}
		m.mu.Unlock()
		if e, err = m.entry(name); err == nil {
			return e, true, nil
		} // it was removed while we waited for it
	}
}

// replace brings e to a new version, or back to the old one.
func (m *Jobs) replace(ctx context.Context, e *jobEntry, c JobConfig, p *Program) (Applied, error) {
	m.mu.Lock()
	old, oldProgram, state := e.record, e.program, e.state
	m.mu.Unlock()
	if oldProgram != nil && state == JobRunning && old.JobConfig == c {
		return Applied{How: Unchanged, Detail: "the job is the same already"}, nil
	}
	back := func(err error) (Applied, error) {
		if state == JobRunning {
			if again := m.start(e); again != nil {
				err = fmt.Errorf("%w (the old version cannot go on: %w)", err, again)
			}
		}
		return Applied{}, err
	}
	if state == JobRunning {
		met := m.meet(ctx, e, c, p)
		if err := m.halt(e); met != nil {
			return back(met)
		} else if err != nil {
			return back(fmt.Errorf("stream: job %s cannot be replaced, as its rows could not be written to the end: %w", c.Name, err))
		}
	}
	applied, err := m.takeOver(ctx, c, p)
	if err != nil {
		return back(err)
	}
	r := jobRecord{JobConfig: c, Configured: old.Configured}
	if err := m.save(ctx, r); err != nil {
		return back(err)
	}
	m.mu.Lock()
	e.record, e.program = r, p
	m.mu.Unlock()
	if err := m.start(e); err != nil {
		return applied, err
	}
	if j, ok := e.runner.(*Job); ok {
		m.release(ctx, oldProgram, c.Name, j.plans...)
	} else {
		m.release(ctx, oldProgram, c.Name)
	}
	return applied, nil
}

// takeOver makes the job's state one that the program can go on from.
func (m *Jobs) takeOver(ctx context.Context, c JobConfig, p *Program) (Applied, error) {
	g, _, err := loadGeneration(ctx, m.o.Bucket, c.Name)
	if err != nil {
		return Applied{}, err
	}
	j, err := m.job(c, p)
	if err != nil {
		return Applied{}, err
	}
	plans, err := j.feedPlans(ctx)
	if err != nil {
		return Applied{}, err
	}
	if g == nil {
		return Applied{How: Started, Detail: "a new job, from " + cmp.Or(c.Settings.From, "oldest")}, nil
	}
	reach, why := p.Reach(), "the query keeps another state"
	if g.Fingerprint == p.Fingerprint() && len(g.Starts) == len(plans) {
		unsaved, err := j.unsaved(ctx, g, plans)
		if err != nil {
			return Applied{}, err
		}
		if !unsaved {
			return Applied{How: Continued, Detail: "the query keeps the same state: it goes on from the old version's checkpoint"}, nil
		}
		why = "the old version ended without a last checkpoint: rows since then come again"
	}
	starts, err := m.origins(ctx, c.Name, g, len(plans), func(at cut) time.Time { return j.replayFrom(at, reach) })
	if err != nil {
		return Applied{}, err
	}
	if _, err := j.beginGeneration(ctx, starts); err != nil {
		return Applied{}, err
	}
	detail := fmt.Sprintf("%s: the state is built again from the log, %s back", why, time.Duration(reach)*100)
	if reach == 0 {
		detail = why + ", and needs nothing of the past"
	}
	return Applied{How: Replayed, Detail: detail}, nil
}

// origins returns where the shards of a new version begin: where those of the
// old one ended.
func (m *Jobs) origins(ctx context.Context, name string, g *generation, shards int, from func(cut) time.Time) ([]origin, error) {
	ends := make([]origin, len(g.Starts))
	for i := range ends {
		all, err := newCheckpoints(m.o.Bucket, name, g.Number, i).load(ctx)
		if err != nil {
			return nil, err
		}
		ends[i] = g.Starts[i]
		if len(all) > 0 {
			at := cut{all[0].Done, all[0].Advanced}
			if g.Keeps {
				// What operators keep of the events behind the watermark gave no rows yet.
				at.Done = progress{at: at.Advanced + 1, rank: -1}.event()
			}
			if muted := all[0].Muted; muted != nil {
				at = *muted
			}
			ends[i] = origin{Muted: &at}
		}
		if ends[i].Muted != nil {
			ends[i].From = eventlog.At(from(*ends[i].Muted))
		}
	}
	if len(ends) == shards {
		return ends, nil
	}
	// Another number of shards: all begin where the least of the old ones ended.
	// meet brought them to one moment; after a crash rows may come twice.
	first := ends[0]
	for _, e := range ends {
		if e.Muted == nil || first.Muted != nil && e.Muted.Advanced < first.Muted.Advanced {
			first = e
		}
	}
	starts := make([]origin, shards)
	for i := range starts {
		starts[i] = first
	}
	return starts, nil
}

// meetWait bounds how long a version that is replaced may take to come to a
// moment between two times: an idle partition holds it up by the late tolerance.
const meetWait = 15 * time.Second

// meet brings the shards of a running version to one moment and ends it there,
// unless the new version goes on from its checkpoint. Where that takes too long
// and each shard has a successor, they may end at moments of their own.
func (m *Jobs) meet(ctx context.Context, e *jobEntry, c JobConfig, p *Program) error {
	old, ok := e.runner.(*Job)
	if !ok {
		return nil
	}
	j, err := m.job(c, p)
	if err != nil {
		return err
	}
	before, err := old.feedPlans(ctx)
	if err != nil {
		return err
	}
	after, err := j.feedPlans(ctx)
	alike := len(before) == len(after)
	if err != nil || alike && old.o.Program.Fingerprint() == p.Fingerprint() {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, meetWait)
	defer cancel()
	err = old.stopTogether(waiting, e.done)
	if err == nil || alike && ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("stream: job %s cannot be replaced yet, as its partitions do not come to one moment: %w", c.Name, err)
}

// stopTogether pauses all shards, tells them to end at the moment that the
// first of them has come to, and waits until they have.
func (j *Job) stopTogether(ctx context.Context, ended <-chan struct{}) error {
	select {
	case <-j.ready:
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	j.mu.Lock()
	shards := j.shards
	j.mu.Unlock()
	until := make(chan saql.Ticks, len(shards))
	defer close(until) // who was paused without an answer goes on
	var newest saql.Ticks
	for _, s := range shards {
		at := make(chan saql.Ticks, 1)
		select {
		case s.pauses <- pause{at, until}:
			newest = max(newest, <-at)
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range shards {
		until <- newest + 1
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replayFrom is where to begin to read so that a program with that reach makes
// all rows behind a cut: what is as old by its own time may have arrived earlier
// by as much as it may be early.
func (j *Job) replayFrom(at cut, reach saql.Ticks) time.Time {
	from := at.Advanced - reach
	for _, plan := range j.plans {
		if plan.Timestamp != nil {
			from = min(from, at.Advanced-reach-ticks(Early))
		}
	}
	return max(from, saql.MinTicks).Time()
}
