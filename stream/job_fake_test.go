package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/weir-iot/weir/blob"
	blobmem "github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/eventlog"
)

// memOutput is an output in memory that loses what was not flushed in a crash,
// as the hot store does: a suffix of the writes.
type memOutput struct {
	mu      sync.Mutex
	writes  []memWrite
	flushed int   // of writes
	began   []int // rows that were there when a run asked for a mark
	hook    func(rows []OutputRow) error
}

type memWrite struct {
	shard Shard
	mark  Ordinal
	rows  []string
}

func (o *memOutput) Mark(_ context.Context, shard Shard) (Ordinal, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	mark, rows := None, 0
	for _, w := range o.writes {
		rows += len(w.rows)
		if w.shard == shard {
			mark = max(mark, w.mark)
		}
	}
	o.began = append(o.began, rows)
	return mark, nil
}

func (o *memOutput) Write(_ context.Context, shard Shard, rows []OutputRow) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hook != nil {
		if err := o.hook(rows); err != nil {
			return err
		}
	}
	w := memWrite{shard: shard, mark: rows[len(rows)-1].Ordinal}
	for _, r := range rows {
		w.rows = append(w.rows, fmt.Sprintf("%s %s", r.Time, r.Data))
	}
	o.writes = append(o.writes, w)
	return nil
}

func (o *memOutput) Flush(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushed = len(o.writes)
	return nil
}

// crash loses some of what was not flushed.
func (o *memOutput) crash(r *rand.Rand) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes = o.writes[:o.flushed+r.IntN(len(o.writes)-o.flushed+1)]
	o.hook = nil
}

func (o *memOutput) set(hook func([]OutputRow) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hook = hook
}

// begins returns how many rows were there at each question for a mark so far.
func (o *memOutput) begins() []int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.began)
}

// rows returns what was written: of each shard in order, shards one after the
// other, generations too.
func (o *memOutput) rows() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	writes := slices.Clone(o.writes)
	slices.SortStableFunc(writes, func(a, b memWrite) int {
		return cmp.Or(cmp.Compare(generationNumber(a.shard), generationNumber(b.shard)), cmp.Compare(a.shard.Shard, b.shard.Shard))
	})
	for _, w := range writes {
		all = append(all, w.rows...)
	}
	return all
}

func generationNumber(s Shard) (n int) {
	_, _ = fmt.Sscanf(s.Generation, "%d-", &n)
	return n
}

func (o *memOutput) sorted() []string { return slices.Sorted(slices.Values(o.rows())) }

var errDead = errors.New("the process is dead")

// jobTest is a job over a log, and all that outlives a crash of it.
type jobTest struct {
	log    eventlog.Log
	bucket blob.Bucket
	out    map[string]*memOutput
	dead   *memOutput
	o      JobOptions
}

func newJobTest(t *testing.T, log eventlog.Log, query string) *jobTest {
	t.Helper()
	jt := &jobTest{log: log, bucket: blobmem.New(), out: map[string]*memOutput{}, dead: &memOutput{}}
	jt.o = JobOptions{Name: "job", Program: compileText(t, query), Policy: DefaultPolicy()}
	for _, out := range jt.o.Program.Outputs() {
		if jt.out[out.Name] == nil {
			jt.out[out.Name] = &memOutput{}
		}
	}
	return jt
}

func (jt *jobTest) job(t *testing.T) *Job {
	t.Helper()
	o := jt.o
	o.Bucket, o.Dead = jt.bucket, jt.dead
	o.Inputs, o.Outputs = map[string]eventlog.Reader{}, map[string]Output{}
	for _, in := range o.Program.Inputs() {
		o.Inputs[in.Alias] = jt.log
	}
	for name, out := range jt.out {
		o.Outputs[name] = out
	}
	j, err := NewJob(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// dyingBucket takes nothing any more once die fails.
type dyingBucket struct {
	blob.Bucket
	die func() error
}

func (b *dyingBucket) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	if err := b.die(); err != nil {
		return blob.Absent, err
	}
	return b.Bucket.Swap(ctx, name, old, r)
}
