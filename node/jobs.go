package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/stream/output"
)

// jobs are the Stream Analytics jobs as the API needs them.
type jobs struct {
	node *Node
	env  stream.Environment
	*stream.Jobs
	started chan struct{} // closed when all run that run at the start
}

var _ api.Jobs = (*jobs)(nil)

// openJobs makes the jobs; Run starts them.
func (n *Node) openJobs(ctx context.Context) error {
	bucket, err := n.openBucket()
	if err != nil {
		return err
	}
	tables, err := loadReferences(n.config)
	if err != nil {
		return err
	}
	n.tables = tables
	if n.functions, err = loadFunctions(ctx, n.config); err != nil {
		return err
	}
	j := &jobs{node: n, env: environment(n.config, tables, n.functions.For()), started: make(chan struct{})}
	inputs := map[string]eventlog.Reader{}
	for alias, in := range n.config.Inputs {
		if in.Log != "" {
			inputs[alias] = n.logOf(alias)
		}
	}
	outputs, err := n.openOutputs(bucket)
	if err != nil {
		return err
	}
	j.Jobs = stream.NewJobs(stream.JobsOptions{
		Bucket: bucket, Compile: j.compile, Inputs: inputs, Outputs: outputs, Dead: output.NewDeadLetters(n.store),
		PassThrough: n.passThrough, Require: n.require,
		Tune:   func(o *stream.JobOptions) { o.CheckpointEvery = n.config.Store.Flush },
		Logger: n.logger, Started: func() { close(j.started) },
	})
	n.metrics.MustRegister(jobMetrics{j.Jobs})
	n.jobs = j
	n.queries, err = j.configured()
	return err
}

func (j *jobs) compile(c stream.JobConfig) (*stream.Program, error) {
	return stream.Prepare(c.Query, j.env)
}

// configured are the jobs of the configuration. What does not compile is said
// before anything is served.
func (j *jobs) configured() ([]stream.JobConfig, error) {
	var all []stream.JobConfig
	for _, name := range slices.Sorted(maps.Keys(j.node.config.Jobs)) {
		job := j.node.config.Jobs[name]
		text, err := queryOf(job)
		if err != nil {
			return nil, fmt.Errorf("node: job %s: %w", name, err)
		}
		c := stream.JobConfig{Name: name, Query: text, Settings: settingsOf(job)}
		if _, err := j.compile(c); err != nil {
			return nil, fmt.Errorf("node: job %s: %s: %w", name, job.Query, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// settingsOf turns a job of the configuration, which is valid, into settings.
func settingsOf(j config.Job) stream.JobSettings {
	return stream.JobSettings{
		Policy: stream.Policy{Late: j.Late, OutOfOrder: j.OutOfOrder, Drop: j.Policy == "drop"}, Level: j.Compatibility,
		StopOnError: j.Errors == "stop", DropRefused: j.OutputErrors == "drop", From: j.From,
	}
}

// passThrough runs the job hot by the fast path where it does no more than
// bring telemetry to the hot store.
func (n *Node) passThrough(c stream.JobConfig, p *stream.Program) stream.Runner {
	if !n.isFast(c.Name, p) {
		return nil
	}
	return n.hot.Runner()
}

func (n *Node) isFast(job string, p *stream.Program) bool {
	if job != config.HotJob || !p.Sharding().PassThrough || n.logOf(p.Inputs()[0].Alias) != n.log {
		return false
	}
	out, _ := lookup(n.config.Outputs, p.Outputs()[0].Name)
	return out.Store != nil && out.Store.TTL == 0
}

// require keeps in the logs what jobs that only fill the hot store still need.
// Other jobs that fall behind retention begin anew, and never hold up devices.
func (n *Node) require(job, alias string, durable map[int]int64) {
	log := n.logOf(alias)
	l := log.retainer()
	if l == nil {
		return
	}
	status, err := n.jobs.Jobs.Job(job)
	if err != nil || status.Program == nil {
		return
	}
	if !n.holdsLog(status.Program) { // it may have been another query that did
		durable = nothing(log)
	}
	l.Require("job/"+job+"/"+alias, durable)
	if hot := n.log.retainer(); job == config.HotJob && hot != nil && !n.isFast(job, status.Program) {
		hot.Require(hotConsumer, nothing(n.log)) // whose work the job does
	}
}

// holdsLog reports whether a job writes to the hot store and nowhere else but
// to alerts, which are there too: no other output can make it lag.
func (n *Node) holdsLog(p *stream.Program) bool {
	fills := false
	for _, out := range p.Outputs() {
		o, _ := lookup(n.config.Outputs, out.Name)
		if o.Store == nil && o.Alerts == nil {
			return false
		}
		fills = fills || o.Store != nil
	}
	return fills
}

// nothing is what a consumer needs that needs nothing of a log.
func nothing(log *namedLog) map[int]int64 {
	partitions, _ := log.Partitions(context.Background()) // of a disk, which knows
	durable := make(map[int]int64, partitions)
	for p := range partitions {
		durable[p] = math.MaxInt64
	}
	return durable
}

// lookup finds an alias in any case.
func lookup[V any](m map[string]V, alias string) (V, bool) {
	for k, v := range m {
		if strings.EqualFold(k, alias) {
			return v, true
		}
	}
	var none V
	return none, false
}

// List implements api.Jobs.
func (j *jobs) List(context.Context) ([]api.Job, error) {
	all := []api.Job{}
	for _, s := range j.Jobs.List() {
		job := view(&s)
		job.Query = ""
		all = append(all, *job)
	}
	return all, nil
}

// Job implements api.Jobs.
func (j *jobs) Job(_ context.Context, name string) (*api.Job, error) {
	s, err := j.Jobs.Job(name)
	if err != nil {
		return nil, public(err)
	}
	return view(&s), nil
}

// view shows a job as the API does.
func view(s *stream.JobStatus) *api.Job {
	st := &s.Stats
	job := &api.Job{
		Name: s.Name, State: string(s.State), Query: s.Query, Settings: shown(s.Settings), Inputs: []string{}, Outputs: []string{},
		Watermark: known(st.Watermark), DelaySeconds: st.Delay.Seconds(),
		Events: st.Events, EventsPerSecond: st.EventsPerSecond, Rows: st.Rows, RowsPerSecond: st.RowsPerSecond,
		Late: st.Early + st.Late + st.OutOfOrder, Dropped: st.Dropped, DeadLetters: st.DeadLetters,
		StateBytes: int64(st.StateBytes), Checkpoint: known(st.Checkpoint),
	}
	if st.LastError != nil {
		job.Error = st.LastError.Error()
	}
	if s.Program == nil { // it does not compile any more
		return job
	}
	for _, in := range s.Program.Inputs() {
		job.Inputs = addName(job.Inputs, in.Alias)
	}
	for _, out := range s.Program.Outputs() {
		job.Outputs = addName(job.Outputs, out.Name)
	}
	return job
}

func addName(all []string, name string) []string {
	if slices.ContainsFunc(all, func(other string) bool { return strings.EqualFold(other, name) }) {
		return all
	}
	return append(all, name)
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// shown are settings as the API writes them.
func shown(s stream.JobSettings) api.JobSettings {
	choice := func(first bool, a, b string) string {
		if first {
			return a
		}
		return b
	}
	return api.JobSettings{
		Late: s.Policy.Late.String(), OutOfOrder: s.Policy.OutOfOrder.String(), Policy: choice(s.Policy.Drop, "drop", "adjust"),
		Compatibility: s.Level, Errors: choice(s.StopOnError, "stop", "drop"), OutputErrors: choice(s.DropRefused, "drop", "retry"),
		From: s.From,
	}
}

// Apply implements api.Jobs.
func (j *jobs) Apply(ctx context.Context, name string, change api.JobChange) (*api.Applied, error) {
	settings := settingsOf(config.DefaultJob())
	if old, err := j.Jobs.Job(name); err == nil {
		settings = old.Settings
	}
	if err := overlay(&settings, change.Settings); err != nil {
		return nil, err
	}
	applied, err := j.Jobs.Apply(ctx, stream.JobConfig{Name: name, Query: change.Query, Settings: settings})
	if err != nil {
		return nil, public(err)
	}
	return &api.Applied{Name: name, Created: applied.Created, How: string(applied.How), Detail: applied.Detail}, nil
}

// overlay sets what a caller of the API says.
func overlay(s *stream.JobSettings, a api.JobSettings) error {
	for _, d := range []struct {
		name, text string
		most       time.Duration
		to         *time.Duration
	}{
		{"late", a.Late, config.MaxLate, &s.Policy.Late},
		{"outOfOrder", a.OutOfOrder, config.MaxOutOfOrder, &s.Policy.OutOfOrder},
	} {
		if d.text == "" {
			continue
		}
		v, err := time.ParseDuration(d.text)
		if err != nil || v < 0 || v > d.most {
			return fmt.Errorf("%w: %s %q: it is a duration of %s at most, such as 500ms or 5s", api.ErrJobSettings, d.name, d.text, d.most)
		}
		*d.to = v
	}
	if a.Policy != "" {
		s.Policy.Drop = a.Policy == "drop"
	}
	if a.Compatibility != "" {
		s.Level = a.Compatibility
	}
	if a.Errors != "" {
		s.StopOnError = a.Errors == "stop"
	}
	if a.OutputErrors != "" {
		s.DropRefused = a.OutputErrors == "drop"
	}
	if a.From != "" {
		if err := config.CheckFrom(a.From); err != nil {
			return fmt.Errorf("%w: from: %w", api.ErrJobSettings, err)
		}
		s.From = a.From
	}
	return nil
}

// Do implements api.Jobs.
func (j *jobs) Do(ctx context.Context, name string, action api.JobAction) error {
	if name == config.HotJob && action != api.JobStart {
		if _, err := j.Jobs.Job(name); err == nil {
			return fmt.Errorf("%w: %s fills the hot store, for which the log keeps its records: change its query instead", api.ErrJobRefused, name)
		}
	}
	switch action {
	case api.JobStart:
		return public(j.Jobs.Start(ctx, name))
	case api.JobStop:
		return public(j.Jobs.Stop(ctx, name))
	default:
		return public(j.Jobs.Remove(ctx, name))
	}
}

// public turns errors of stream into those of the API.
func public(err error) error {
	switch {
	case errors.Is(err, stream.ErrNoJob):
		return fmt.Errorf("%w: weir job list shows them", api.ErrNoJob)
	case errors.Is(err, stream.ErrJobName):
		return fmt.Errorf("%w: %w", api.ErrJobSettings, err)
	}
	return err
}
