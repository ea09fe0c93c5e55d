package stream

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
)

// A generation is one life of a job's rows: within it ordinals mean the same
// rows for ever. A new one begins where the rows become others: with another
// query whose state differs, or where the log lost what the state is made of.
type generation struct {
	Number      int      `json:"number"`
	Life        string   `json:"life"` // random: that of a job which was removed and made again is another
	Fingerprint string   `json:"fingerprint"`
	Version     string   `json:"version"` // of the job that began it
	Keeps       bool     `json:"keeps"`   // operators keep state
	Starts      []origin `json:"starts"`  // by shard: where it begins without a checkpoint
}

// id names the generation among all that outputs ever see.
func (g *generation) id() string { return fmt.Sprintf("%d-%s", g.Number, g.Life) }

// keeps reports whether any operator keeps state.
func (p *Program) keeps() bool {
	return slices.ContainsFunc(p.nodes, func(n *node) bool { return n.state != nil })
}

// An origin is where a shard begins.
type origin struct {
	From  eventlog.Position `json:"from"`
	Muted *cut              `json:"muted,omitempty"` // the rows before it are another generation's
}

func generationObject(job string) string { return "jobs/" + job + "/generation.json" }

// loadGeneration returns the newest generation, nil if there never was one.
func loadGeneration(ctx context.Context, b blob.Bucket, job string) (*generation, blob.Version, error) {
	data, version, err := blob.Read(ctx, b, generationObject(job))
	if errors.Is(err, blob.ErrNotExist) {
		return nil, blob.Absent, nil
	}
	if err != nil {
		return nil, blob.Absent, err
	}
	g := new(generation)
	if err := json.Unmarshal(data, g); err != nil {
		return nil, blob.Absent, fmt.Errorf("stream: reading the generation of job %s: %w", job, err)
	}
	return g, version, nil
}

// beginGeneration makes the next generation the job's. The state of older ones
// goes once it is no more the newest.
func (j *Job) beginGeneration(ctx context.Context, starts []origin) (*generation, error) {
	b, job, p := j.o.Bucket, j.o.Name, j.o.Program
	old, version, err := loadGeneration(ctx, b, job)
	if err != nil {
		return nil, err
	}
	g := &generation{Life: rand.Text()[:8], Fingerprint: p.Fingerprint(), Version: j.o.Version, Keeps: p.keeps(), Starts: starts}
	if old != nil {
		g.Number = old.Number + 1
	}
	data, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	if _, err := b.Swap(ctx, generationObject(job), version, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	current := fmt.Sprintf("%s%06d/", stateFolder(job), g.Number)
	for name, err := range b.List(ctx, stateFolder(job)) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(name, current) {
			if err := b.Delete(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

// beginAnew starts a generation whose shards all start alike.
func (j *Job) beginAnew(ctx context.Context, at origin) error {
	plans, err := j.feedPlans(ctx)
	if err != nil {
		return err
	}
	_, err = j.beginGeneration(ctx, slices.Repeat([]origin{at}, len(plans)))
	return err
}

// restore makes the shards of the newest generation, each from its newest
// checkpoint that all outputs are up to.
func (j *Job) restore(ctx context.Context, plans [][]feedPlan) (*generation, []*shard, error) {
	gen, _, err := loadGeneration(ctx, j.o.Bucket, j.o.Name)
	if err != nil {
		return nil, nil, err
	}
	if gen == nil || gen.Fingerprint != j.o.Program.Fingerprint() || len(gen.Starts) != len(plans) {
		from := j.o.From
		if from.Kind == eventlog.KindLatest { // a moment that stays the same
			from = eventlog.At(j.o.Now())
		}
		if err := j.beginAnew(ctx, origin{From: from}); err != nil {
			return nil, nil, err
		}
		if gen, _, err = loadGeneration(ctx, j.o.Bucket, j.o.Name); err != nil {
			return nil, nil, err
		}
	}
	shards := make([]*shard, len(plans))
	for i, feeds := range plans {
		shards[i] = j.newShard(gen, i, feeds)
		behind, err := shards[i].restore(ctx, gen.Starts[i])
		if err != nil {
			return nil, nil, err
		}
		if behind != "" {
			j.o.Logger.Error("an output has less than the job's checkpoints say, as after a loss of it; the job begins anew with the oldest record",
				"job", j.o.Name, "shard", i, "output", behind)
			if err := j.beginAnew(ctx, origin{From: eventlog.Oldest()}); err != nil {
				return nil, nil, err
			}
			return j.restore(ctx, plans)
		}
	}
	j.mu.Lock()
	j.shards = shards
	j.durable = make([][]map[int]int64, len(shards))
	j.mu.Unlock()
	j.restored.Do(func() { close(j.ready) })
	for i, s := range shards {
		if err := s.findEnds(ctx); err != nil {
			return nil, nil, err
		}
		j.require(i, s.durable)
	}
	return gen, shards, nil
}

// unsaved reports whether outputs have rows behind the newest checkpoints that
// another version made: nobody can tell which of ours they are.
func (j *Job) unsaved(ctx context.Context, g *generation, plans [][]feedPlan) (bool, error) {
	for i, feeds := range plans {
		s := j.newShard(g, i, feeds)
		all, err := s.checkpoints.load(ctx)
		if err != nil {
			return false, err
		}
		newest := &checkpoint{Version: g.Version}
		if len(all) > 0 {
			newest = all[0]
		}
		if newest.Version == j.o.Version {
			continue
		}
		for name, w := range s.writers {
			mark, err := w.out.Mark(ctx, w.shard)
			if err != nil {
				return false, err
			}
			if has, wrote := newest.Has[name]; wrote && mark > has || !wrote && mark > None {
				return true, nil
			}
		}
	}
	return false, nil
}

// findEnds asks the logs for their newest records: a position that cannot be
// there yet is answered with the one that comes next.
func (s *shard) findEnds(ctx context.Context) error {
	for i, f := range s.feeds {
		s.ends[i] = -1
		if s.starts[i].Kind != eventlog.KindAt {
			continue
		}
		beyond := eventlog.Positions{f.partition: eventlog.After(math.MaxInt64 - 1)}
		for _, err := range s.job.logs[f.input].Read(ctx, beyond, beyond) {
			var ahead eventlog.ErrAhead
			if !errors.As(err, &ahead) {
				return err
			}
			s.ends[i] = ahead.Next - 1
		}
	}
	return nil
}

// restore brings s to its newest checkpoint that no output is behind. If there
// are only others, it returns the output that is.
func (s *shard) restore(ctx context.Context, at origin) (behind string, err error) {
	for _, w := range s.writers {
		if err := s.retry(ctx, "reading what the output "+w.shard.Output+" has", func() (err error) {
			w.mark, err = w.out.Mark(ctx, w.shard)
			w.has = w.mark
			return err
		}); err != nil {
			return "", err
		}
	}
	all, err := s.checkpoints.load(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.Fingerprint != s.fingerprint || len(c.Feeds) != len(s.feeds) {
			continue
		}
		if behind = s.behind(c); behind == "" {
			return "", s.from(c, at)
		}
	}
	if behind != "" {
		return behind, nil
	}
	s.fresh(at)
	return "", nil
}

// behind returns an output that has less than the checkpoint says.
func (s *shard) behind(c *checkpoint) string {
	for _, name := range slices.Sorted(maps.Keys(s.writers)) {
		if has, wrote := c.Has[name]; wrote && s.writers[name].has < has {
			return name
		}
	}
	return ""
}

// fresh begins without a checkpoint.
func (s *shard) fresh(at origin) {
	for i := range s.feeds {
		s.resumes[i], s.starts[i] = resume{after: -1}, at.From
	}
	s.build()
	s.pump.muted = at.Muted
	s.durable = s.positions()
}

// from goes on from a checkpoint of a shard that began at an origin.
func (s *shard) from(c *checkpoint, at origin) error {
	for i, f := range c.Feeds {
		s.resumes[i], s.starts[i] = f.resume(), eventlog.After(f.After)
		if f.After < 0 { // nothing was read yet
			s.starts[i] = at.From
		}
	}
	s.build()
	if err := s.pump.instance.Restore(c.state); err != nil {
		return err
	}
	s.pump.merge.skip, s.pump.merge.done = c.Done.progress(), c.Done.progress()
	s.pump.advanced, s.pump.muted = c.Advanced, c.Muted
	for name, w := range s.writers {
		w.next = c.Next[name]
	}
	s.durable = s.positions()
	s.version = c.Version
	s.saved = s.state()
	s.saved.Version = c.Version
	return nil
}

// positions returns by input and partition the last record that no restart
// needs any more.
func (s *shard) positions() []map[int]int64 {
	all := make([]map[int]int64, len(s.job.plans))
	for i, f := range s.feeds {
		if all[f.input] == nil {
			all[f.input] = make(map[int]int64)
		}
		all[f.input][f.partition] = s.pump.merge.lanes[i].resume.after
	}
	return all
}

// require tells the logs what all shards still need.
func (j *Job) require(shard int, durable []map[int]int64) {
	if j.o.Require == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.durable[shard] = durable
	byAlias := make(map[string]map[int]int64)
	for _, inputs := range j.durable {
		for input, positions := range inputs {
			alias := strings.ToLower(j.plans[input].Alias)
			if byAlias[alias] == nil {
				byAlias[alias] = make(map[int]int64)
			}
			for p, seq := range positions {
				if old, ok := byAlias[alias][p]; !ok || seq < old {
					byAlias[alias][p] = seq
				}
			}
		}
	}
	for alias, positions := range byAlias {
		j.o.Require(alias, positions)
	}
}
