package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
)

// JobsOptions are what all jobs of a node share.
type JobsOptions struct {
	Bucket blob.Bucket // of texts and checkpoints
	// Compile makes the program of a job; its errors are those of Apply.
	Compile func(JobConfig) (*Program, error)
	Inputs  map[string]eventlog.Reader // by alias, in any case
	Outputs map[string]Output          // by alias, in any case
	Dead    Output                     // of dead letters; nil: they are counted only
	// PassThrough may run a program that is SELECT * alone in another way than a
	// Job does; it returns nil where it does not. nil: it never does.
	PassThrough func(JobConfig, *Program) Runner
	// Require gets the positions of a job's input that no restart goes behind, see
	// eventlog.Retainer; nil: logs may remove what jobs still need. A job that is
	// stopped or has failed needs nothing, and begins anew where its log was trimmed.
	Require func(job, alias string, durable map[int]int64)
	// Tune may set what JobConfig does not say of a job; nil: nothing.
	Tune   func(*JobOptions)
	Logger *slog.Logger     // nil is none
	Now    func() time.Time // nil is time.Now
	// Started is called once by Run, when all jobs that run have been started.
	Started func()
}

// A Runner is a job that runs: a *Job, or what PassThrough gives.
type Runner interface {
	Run(ctx context.Context) error
	Stats() JobStats
}

// A JobConfig is a job as its user writes it.
type JobConfig struct {
	Name     string      `json:"name"`
	Query    string      `json:"query"` // the text of the .asaql file
	Settings JobSettings `json:"settings"`
}

// version is another one where the rows may be others.
func (c *JobConfig) version() string {
	s := c.Settings
	s.From = "" // of no rows once there are some
	h := sha256.Sum256(fmt.Appendf(nil, "%q %+v", c.Query, s))
	return hex.EncodeToString(h[:8])
}

// JobSettings are the settings of a job beside its query.
type JobSettings struct {
	Policy      Policy `json:"policy"`
	Level       string `json:"level,omitempty"` // of compatibility: "1.0", "1.1" or "1.2"
	StopOnError bool   `json:"stopOnError,omitempty"`
	DropRefused bool   `json:"dropRefused,omitempty"`
	// From is where a job starts that never ran: "oldest" or "" (what the log
	// keeps), "now", or how far back, such as "2h".
	From string `json:"from,omitempty"`
}

// position returns From as a position.
func (s JobSettings) position(now time.Time) (eventlog.Position, error) {
	switch s.From {
	case "", "oldest":
		return eventlog.Oldest(), nil
	case "now":
		return eventlog.Latest(), nil
	}
	back, err := time.ParseDuration(s.From)
	if err != nil || back < 0 {
		return eventlog.Position{}, fmt.Errorf("stream: a job starts from \"now\", \"oldest\" or how far back, such as \"2h\": %.40q is none of them", s.From)
	}
	return eventlog.At(now.Add(-back)), nil
}

// A JobState is what a job does.
type JobState string

// The states of jobs.
const (
	JobRunning JobState = "running"
	JobStopped JobState = "stopped" // by its user
	JobFailed  JobState = "failed"  // by itself; JobStats.LastError says why
)

// A JobStatus is one job of a node.
type JobStatus struct {
	JobConfig
	State   JobState
	Program *Program
	Stats   JobStats
}

var (
	// ErrNoJob says that there is no job of that name.
	ErrNoJob = errors.New("stream: no such job")
	// ErrJobName refuses a name of a job.
	ErrJobName = errors.New("stream: the name of a job has 1 to 64 letters, digits and characters of \"-_.\", and begins with neither \"-\" nor \".\"")
	errNotUp   = errors.New("stream: the jobs do not run (any more)")
)

// Jobs runs the jobs of a node. All methods are safe for concurrent use.
type Jobs struct {
	o JobsOptions

	mu      sync.Mutex
	ctx     context.Context // of the jobs; nil before Run and after it
	wg      sync.WaitGroup
	entries map[string]*jobEntry
}

// A jobEntry is one job, as it is now.
type jobEntry struct {
	change sync.Mutex // held while the job is changed

	// Under Jobs.mu:
	record  jobRecord
	program *Program
	runner  Runner
	state   JobState
	stop    context.CancelFunc
	done    chan struct{} // closed when the run has ended
	err     error         // of the run that ended
}

// A jobRecord is what the bucket keeps of a job.
type jobRecord struct {
	JobConfig
	Stopped bool `json:"stopped,omitempty"`
	// Configured is what the configuration said when it was read last, or nil of a
	// job that it does not name. While it still says that, the record is newer.
	Configured *JobConfig `json:"configured,omitempty"`
}

func jobObject(name string) string { return "jobs/" + name + "/job.json" }

// NewJobs returns the jobs of a node, of which Run starts those that are
// configured or were applied.
func NewJobs(o JobsOptions) *Jobs {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Jobs{o: o, entries: make(map[string]*jobEntry)}
}

// Run starts the configured jobs and those that were applied earlier, and runs
// them until ctx ends, which is no error; each job's end is its own matter. A
// configured job that does not compile is an error, and nothing starts; an
// applied one that does not compile any more has failed.
func (m *Jobs) Run(ctx context.Context, configured []JobConfig) error {
	records, err := m.records(ctx, configured)
	if err != nil {
		return fmt.Errorf("stream: reading the jobs: %w", err)
	}
	entries := make([]*jobEntry, len(records))
	for i, r := range records {
		p, err := m.o.Compile(r.JobConfig)
		if err != nil && r.Configured != nil && *r.Configured == r.JobConfig {
			return fmt.Errorf("stream: job %s: %w", r.Name, err)
		}
		entries[i] = &jobEntry{record: r, program: p, state: JobStopped, err: err}
	}
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	for _, e := range entries {
		if err := m.boot(ctx, e); err != nil && ctx.Err() == nil {
			return fmt.Errorf("stream: starting job %s: %w", e.record.Name, err)
		}
	}
	if m.o.Started != nil {
		m.o.Started()
	}
	<-ctx.Done()
	m.mu.Lock()
	m.ctx = nil
	m.mu.Unlock()
	m.wg.Wait()
	return nil
}

// records returns what is to run: what was changed last, by the configuration
// or by Apply.
func (m *Jobs) records(ctx context.Context, configured []JobConfig) ([]jobRecord, error) {
	byName := make(map[string]jobRecord)
	for name, err := range m.o.Bucket.List(ctx, "jobs/") {
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(name, "/job.json") {
			continue
		}
		data, _, err := blob.Read(ctx, m.o.Bucket, name)
		if err != nil {
			return nil, err
		}
		var r jobRecord
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		byName[r.Name] = r
	}
	maps.DeleteFunc(byName, func(name string, r jobRecord) bool {
		gone := r.Configured != nil && !slices.ContainsFunc(configured, func(c JobConfig) bool { return c.Name == name })
		if gone {
			m.o.Logger.Info("a job is no longer configured; it is not started", "job", name)
		}
		return gone
	})
	for _, c := range configured {
		if err := checkJobName(c.Name); err != nil {
			return nil, err
		}
		r, known := byName[c.Name]
		if known && r.Configured != nil && *r.Configured == c {
			continue
		}
		if known && r.JobConfig != c {
			m.o.Logger.Info("the configuration of a job was changed; it replaces what was applied", "job", c.Name)
		}
		r.JobConfig, r.Configured = c, &c
		byName[c.Name] = r
	}
	var all []jobRecord
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all, nil
}

func checkJobName(name string) error {
	ok := len(name) > 0 && len(name) <= 64 && name[0] != '-' && name[0] != '.' && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	}) < 0
	if !ok {
		return fmt.Errorf("%w: %.80q", ErrJobName, name)
	}
	return nil
}

// boot starts a job as it was when the node stopped.
func (m *Jobs) boot(ctx context.Context, e *jobEntry) error {
	r := e.record
	m.mu.Lock()
	m.entries[r.Name] = e
	m.mu.Unlock()
	if err := m.save(ctx, r); err != nil || r.Stopped {
		return err
	}
	if e.err == nil {
		var how Applied
		if how, e.err = m.takeOver(ctx, r.JobConfig, e.program); how.How == Replayed {
			m.o.Logger.Info("the job's query is another than the one that ran", "job", r.Name, "detail", how.Detail)
		}
	}
	if e.err != nil {
		m.o.Logger.Error("a job cannot start", "job", r.Name, "error", e.err)
		m.mu.Lock()
		e.state = JobFailed
		m.mu.Unlock()
		return nil
	}
	return m.start(e)
}

func (m *Jobs) save(ctx context.Context, r jobRecord) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return m.o.Bucket.Put(ctx, jobObject(r.Name), bytes.NewReader(data))
}

// runner makes what runs a program.
func (m *Jobs) runner(c JobConfig, p *Program) (Runner, error) {
	if m.o.PassThrough != nil && p.Sharding().PassThrough {
		if r := m.o.PassThrough(c, p); r != nil {
			return r, nil
		}
	}
	return m.job(c, p)
}

func (m *Jobs) job(c JobConfig, p *Program) (*Job, error) {
	s := c.Settings
	from, err := s.position(m.o.Now())
	if err != nil {
		return nil, err
	}
	o := JobOptions{
		Name: c.Name, Program: p, Version: c.version(), Inputs: m.o.Inputs, Outputs: m.o.Outputs, Dead: m.o.Dead, Bucket: m.o.Bucket,
		Policy: s.Policy, Ingest: IngestOptions{BoolAsBigint: s.Level == "1.0" || s.Level == "1.1"},
		StopOnError: s.StopOnError, DropRefused: s.DropRefused, From: from, Logger: m.o.Logger, Now: m.o.Now,
	}
	if m.o.Require != nil {
		o.Require = func(alias string, durable map[int]int64) { m.o.Require(c.Name, alias, durable) }
	}
	if m.o.Tune != nil {
		m.o.Tune(&o)
	}
	return NewJob(o)
}

// start runs an entry's program.
func (m *Jobs) start(e *jobEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return errNotUp
	}
	r, err := m.runner(e.record.JobConfig, e.program)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(m.ctx)
	done := make(chan struct{})
	e.runner, e.state, e.stop, e.done, e.err = r, JobRunning, stop, done, nil
	name, p := e.record.Name, e.program
	m.wg.Go(func() {
		defer close(done)
		err := r.Run(ctx)
		// A job that was told to end, and could not save where it is, has not failed:
		// it goes on from the checkpoint before, and the log must have the rest.
		failed := err != nil && ctx.Err() == nil
		m.mu.Lock()
		e.err = err
		if failed {
			e.state = JobFailed
		}
		m.mu.Unlock()
		switch {
		case failed:
			m.o.Logger.Error("a job ended", "job", name, "error", err)
			m.release(ctx, p, name)
		case err != nil:
			m.o.Logger.Warn("a job was stopped without a last checkpoint; it will go on from the one before", "job", name, "error", err)
		}
		stop()
	})
	return nil
}

// halt stops an entry's run behind a checkpoint, if it runs.
func (m *Jobs) halt(e *jobEntry) error {
	m.mu.Lock()
	stop, done := e.stop, e.done
	m.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	<-done
	m.mu.Lock()
	defer m.mu.Unlock()
	e.stop, e.done = nil, nil
	err := e.err
	if e.state == JobRunning {
		e.state = JobStopped
	}
	return err
}

// entry returns the job of that name, locked for a change.
func (m *Jobs) entry(name string) (*jobEntry, error) {
	m.mu.Lock()
	e := m.entries[name]
	m.mu.Unlock()
	if e == nil {
		return nil, fmt.Errorf("%w: %.80q", ErrNoJob, name)
	}
	e.change.Lock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[name] != e {
		e.change.Unlock()
		return nil, fmt.Errorf("%w: %.80q", ErrNoJob, name)
	}
	return e, nil
}

// Stop stops a job behind a checkpoint; it stays stopped when the node restarts.
func (m *Jobs) Stop(ctx context.Context, name string) error {
	e, err := m.entry(name)
	if err != nil {
		return err
	}
	defer e.change.Unlock()
	_ = m.halt(e) // the error was logged
	m.mu.Lock()
	e.state, e.record.Stopped = JobStopped, true
	r := e.record
	m.mu.Unlock()
	m.release(ctx, e.program, name)
	return m.save(ctx, r)
}

// Start starts a job that was stopped or has failed.
func (m *Jobs) Start(ctx context.Context, name string) error {
	e, err := m.entry(name)
	if err != nil {
		return err
	}
	defer e.change.Unlock()
	m.mu.Lock()
	state := e.state
	m.mu.Unlock()
	if state == JobRunning {
		return nil
	}
	p, err := m.o.Compile(e.record.JobConfig)
	if err != nil {
		return err
	}
	if err := m.halt(e); err != nil { // a failed run's error was shown
		m.o.Logger.Debug("starting a failed job", "job", name, "error", err)
	}
	m.mu.Lock()
	e.record.Stopped, e.program = false, p
	r := e.record
	m.mu.Unlock()
	if _, err := m.takeOver(ctx, r.JobConfig, p); err != nil {
		return err
	}
	if err := m.save(ctx, r); err != nil {
		return err
	}
	return m.start(e)
}

// Remove stops a job and forgets its state; what it wrote stays.
func (m *Jobs) Remove(ctx context.Context, name string) error {
	e, err := m.entry(name)
	if err != nil {
		return err
	}
	defer e.change.Unlock()
	_ = m.halt(e) // its state goes anyway
	m.release(ctx, e.program, name)
	if err := m.forget(ctx, name); err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.entries, name)
	m.mu.Unlock()
	return nil
}

// forget removes what the bucket keeps of a job, its text last.
func (m *Jobs) forget(ctx context.Context, name string) error {
	for object, err := range m.o.Bucket.List(ctx, "jobs/"+name+"/") {
		if err != nil {
			return err
		}
		if object != jobObject(name) {
			if err := m.o.Bucket.Delete(ctx, object); err != nil {
				return err
			}
		}
	}
	return m.o.Bucket.Delete(ctx, jobObject(name))
}

// release tells the logs that a job needs nothing of them, but for those that
// it reads now.
func (m *Jobs) release(ctx context.Context, p *Program, name string, now ...InputPlan) {
	if m.o.Require == nil || p == nil {
		return
	}
	for _, plan := range p.Inputs() {
		read := slices.ContainsFunc(now, func(n InputPlan) bool { return strings.EqualFold(n.Alias, plan.Alias) })
		log := lookup(m.o.Inputs, plan.Alias)
		if read || log == nil {
			continue
		}
		n, err := log.Partitions(ctx)
		if err != nil {
			continue // a log that fails keeps nothing
		}
		all := make(map[int]int64, n)
		for i := range n {
			all[i] = math.MaxInt64
		}
		m.o.Require(name, strings.ToLower(plan.Alias), all)
	}
}

// List returns all jobs in the order of their names.
func (m *Jobs) List() []JobStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []JobStatus
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		all = append(all, m.entries[name].status())
	}
	return all
}

// Job returns the job of that name.
func (m *Jobs) Job(name string) (JobStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[name]
	if e == nil {
		return JobStatus{}, fmt.Errorf("%w: %.80q", ErrNoJob, name)
	}
	return e.status(), nil
}

// status is e as others see it; the caller holds Jobs.mu.
func (e *jobEntry) status() JobStatus {
	s := JobStatus{JobConfig: e.record.JobConfig, State: e.state, Program: e.program}
	if e.runner != nil {
		s.Stats = e.runner.Stats()
	}
	if s.State == JobFailed {
		s.Stats.LastError = e.err
	}
	return s
}
