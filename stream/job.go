package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
)

// JobOptions are what a Job runs; those without a default must be set.
type JobOptions struct {
	Name    string
	Program *Program
	// Version is another one where the rows may be others: the state may go on, but
	// ordinals behind it do not mean the same rows.
	Version string
	Inputs  map[string]eventlog.Reader // by alias, in any case
	Outputs map[string]Output          // by alias, in any case
	// Dead takes dead letters as rows, see DeadLetter; nil: they are counted only.
	Dead   Output
	Bucket blob.Bucket // of checkpoints
	Policy Policy
	Ingest IngestOptions
	// StopOnError ends the job at the first event that is no row or that the query
	// fails on; else it is a dead letter.
	StopOnError bool
	// DropRefused makes rows that an output refuses for good dead letters; else the
	// job waits until the output takes them.
	DropRefused bool
	// From is where a job starts that never ran; the zero Position is the oldest.
	From eventlog.Position
	// Held bounds the events of one partition that are held back to be put in
	// order (Policy.OutOfOrder), of 1 KB on average; beyond it the job ends with an
	// error. 0 is 1,000,000.
	Held int
	// BatchBytes is the size at which rows for an output do not wait for more; 0
	// is 1 MB.
	BatchBytes int
	// CheckpointEvery is how often the state is saved; 0 is 30 s.
	CheckpointEvery time.Duration
	// Require gets the positions of an input, by its alias in lower case, that no
	// restart goes behind, as eventlog.Retainer.Require does; nil: the log may
	// remove what the job still needs.
	Require func(alias string, durable map[int]int64)
	Logger  *slog.Logger     // nil is none
	Now     func() time.Time // nil is time.Now; of figures alone, never of rows
}

func (o JobOptions) withDefaults() JobOptions {
	o.Held = cmp.Or(o.Held, 1_000_000)
	o.BatchBytes = cmp.Or(o.BatchBytes, 1<<20)
	o.CheckpointEvery = cmp.Or(o.CheckpointEvery, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// A Job runs a program over logs and writes its rows to outputs. Where the
// program allows it each partition has a shard of its own, and they run in
// parallel.
//
// It promises that each row is in each output once, whatever ends the process
// (at least once where Output says so), and that windows go on where they
// were: a start restores a checkpoint that is no newer than what the outputs
// have, reads the log from there, and skips the rows that they have already.
type Job struct {
	o      JobOptions
	plans  []InputPlan
	logs   []eventlog.Reader // by input of the program
	outs   []string          // names of the outputs, each once
	stats  jobStats
	logged sync.Map // causes

	restored sync.Once
	ready    chan struct{} // closed when shards are there

	mu      sync.Mutex
	shards  []*shard
	durable [][]map[int]int64 // by shard and input
}

// NewJob returns a job that Run starts. It fails if an input or an output of
// the program is not there.
func NewJob(o JobOptions) (*Job, error) {
	j := &Job{o: o.withDefaults(), plans: o.Program.Inputs(), ready: make(chan struct{})}
	for _, plan := range j.plans {
		log := lookup(o.Inputs, plan.Alias)
		if log == nil {
			return nil, fmt.Errorf("stream: job %s: there is no input %s", o.Name, plan.Alias)
		}
		j.logs = append(j.logs, log)
	}
	for _, out := range o.Program.Outputs() {
		if lookup(o.Outputs, out.Name) == nil {
			return nil, fmt.Errorf("stream: job %s: there is no output %s", o.Name, out.Name)
		}
	}
	j.outs = outputNames(o.Program)
	j.stats.now = j.o.Now
	return j, nil
}

// lookup finds an alias in any case.
func lookup[T any](m map[string]T, alias string) (found T) {
	if v, ok := m[alias]; ok {
		return v
	}
	for k, v := range m {
		if strings.EqualFold(k, alias) {
			return v
		}
	}
	return found
}

// outputNames returns the outputs in the order in which the script first names
// them; two queries may write to one, in different case.
func outputNames(p *Program) (names []string) {
	seen := make(map[string]bool)
	for _, out := range p.Outputs() {
		if key := strings.ToLower(out.Name); !seen[key] {
			seen[key] = true
			names = append(names, out.Name)
		}
	}
	return names
}

// Errors that end Run, beside those of logs and the bucket.
var (
	// ErrJobFailed wraps what a query failed on, with StopOnError.
	ErrJobFailed = errors.New("stream: the query failed")
	// ErrTakenOver says that another process runs the job.
	ErrTakenOver = errors.New("stream: another process has taken the job over")
)

// Run runs the job until ctx ends, which is no error: then the rows that were
// made are written and the state is saved. It ends with an error where to try
// again would not help; other failures are shown by Stats and tried again. Run
// must not run twice at a time.
func (j *Job) Run(ctx context.Context) error {
	for {
		err := j.run(ctx)
		var trimmed eventlog.ErrTrimmed
		switch {
		case err == nil:
			return nil
		case errors.As(err, &trimmed):
			// What the state is made of cannot be read again: begin anew.
			j.o.Logger.Error("the log no longer has records that the job needs; it begins anew with the oldest: raise the log's retention",
				"job", j.o.Name, "partition", trimmed.Partition, "oldest", trimmed.Oldest)
			if err := j.beginAnew(ctx, origin{From: eventlog.Oldest()}); err != nil {
				return err
			}
		default:
			j.stats.failed(err)
			return fmt.Errorf("stream: running job %s: %w", j.o.Name, err)
		}
	}
}

func (j *Job) run(ctx context.Context) error {
	plans, err := j.feedPlans(ctx)
	if err != nil {
		return err
	}
	gen, shards, err := j.restore(ctx, plans)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	j.stats.begin(shards)
	j.o.Logger.Info("job runs", "job", j.o.Name, "generation", gen.Number, "shards", len(shards))
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	errs := make([]error, len(shards))
	for i, s := range shards {
		wg.Go(func() {
			if errs[i] = s.run(running); errs[i] != nil {
				stop(errs[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// feedPlans returns the sources of each shard, by rank.
func (j *Job) feedPlans(ctx context.Context) ([][]feedPlan, error) {
	counts := make([]int, len(j.logs))
	most, equal := 0, true
	for i, log := range j.logs {
		n, err := log.Partitions(ctx)
		if err != nil {
			return nil, err
		}
		counts[i], most = n, max(most, n)
		equal = equal && n == counts[0]
	}
	var all []feedPlan
	var each [][]feedPlan
	for p := range most {
		first := len(all)
		for i, n := range counts {
			if p < n {
				all = append(all, feedPlan{i, p})
			}
		}
		each = append(each, all[first:len(all):len(all)])
	}
	if equal && j.o.Program.Sharding().PerPartition {
		return each, nil
	}
	return [][]feedPlan{all}, nil
}

// note logs the first of each cause.
func (j *Job) note(level slog.Level, cause, text string, args ...any) {
	if _, again := j.logged.LoadOrStore(cause, true); !again {
		j.o.Logger.Log(context.Background(), level, text+" (logged once)", append([]any{"job", j.o.Name, "cause", cause}, args...)...)
	}
}
