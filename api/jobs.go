package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-iot/weir/saql"
)

// Jobs are the Stream Analytics jobs of a node, as the API needs them. Errors
// are ErrNoJob, ErrJobRefused, ErrJobSettings or of *saql.Error where the caller can mend them.
type Jobs interface {
	// List returns all jobs in order of name, without their queries.
	List(ctx context.Context) ([]Job, error)
	// Job returns one with its query.
	Job(ctx context.Context, name string) (*Job, error)
	// Apply makes or replaces a job and starts it. After an error the old one
	// goes on.
	Apply(ctx context.Context, name string, change JobChange) (*Applied, error)
	// Do starts, stops or removes a job.
	Do(ctx context.Context, name string, action JobAction) error
	// Replay runs a query over the log's past, beside all jobs, and gives its
	// rows. An error of give ends it.
	Replay(ctx context.Context, r Replay, give func(ReplayRow) error) (*ReplayEnd, error)
}

// Errors of Jobs.
var (
	ErrNoJob       = errors.New("there is no such job")
	ErrJobRefused  = errors.New("refused")       // wrapped with what to change
	ErrJobSettings = errors.New("wrong setting") // wrapped with which
)

// A JobAction changes a job's state.
type JobAction string

// The actions.
const (
	JobStart  JobAction = "start"
	JobStop   JobAction = "stop"
	JobRemove JobAction = "remove"
)

// JobSettings are what the configuration says of a job beside its query.
type JobSettings struct {
	Late          string `json:"late,omitempty" example:"5s" doc:"How late an event's own time may be against its arrival"`
	OutOfOrder    string `json:"outOfOrder,omitempty" example:"0s" doc:"How far events may be out of order by their own time"`
	Policy        string `json:"policy,omitempty" enum:"adjust,drop" doc:"What happens to events beyond late and outOfOrder"`
	Compatibility string `json:"compatibility,omitempty" enum:"1.0,1.1,1.2" doc:"The compatibility level of the language"`
	Errors        string `json:"errors,omitempty" enum:"drop,stop" doc:"What happens to an event that makes the query fail"`
	OutputErrors  string `json:"outputErrors,omitempty" enum:"retry,drop" doc:"What happens to a row that its output refuses"`
	From          string `json:"from,omitempty" example:"now" doc:"Where a job starts that never ran: now, oldest, or how far back, such as 2h"`
}

// A Job is one job and how it does.
type Job struct {
	Name     string      `json:"name"`
	State    string      `json:"state" enum:"running,stopped,failed" doc:"failed: the job stopped by itself, error says why"`
	Error    string      `json:"error,omitempty"`
	Query    string      `json:"query,omitempty"`
	Settings JobSettings `json:"settings"`
	Inputs   []string    `json:"inputs" nullable:"false" doc:"Aliases that the query reads"`
	Outputs  []string    `json:"outputs" nullable:"false" doc:"Aliases that the query writes"`

	Watermark       *time.Time `json:"watermark" doc:"Everything before this moment is processed; null: nothing yet"`
	DelaySeconds    float64    `json:"delaySeconds" doc:"How far the watermark is behind the clock"`
	Events          int64      `json:"events" doc:"Events that came in, since the node started"`
	EventsPerSecond float64    `json:"eventsPerSecond" doc:"Over the last ten seconds"`
	Rows            int64      `json:"rows" doc:"Rows that were written, since the node started"`
	RowsPerSecond   float64    `json:"rowsPerSecond" doc:"Over the last ten seconds"`
	Late            int64      `json:"late" doc:"Events that came too late, early or out of order: adjusted or dropped as the policy says"`
	Dropped         int64      `json:"dropped" doc:"Those of them that were dropped"`
	DeadLetters     int64      `json:"deadLetters" doc:"Events and rows that failed, kept with the reason as telemetry of the device $deadletter"`
	StateBytes      int64      `json:"stateBytes" doc:"Size of the newest checkpoint"`
	Checkpoint      *time.Time `json:"checkpoint" doc:"When the newest checkpoint was made; null: none yet"`
}

// A JobChange is what PUT /jobs/{name} takes.
type JobChange struct {
	Query    string      `json:"query" minLength:"1" maxLength:"65536" doc:"The text of the .asaql file"`
	Settings JobSettings `json:"settings,omitempty" required:"false" doc:"What is absent stays as it is, or has its default in a new job"`
}

// Applied says how a job went on.
type Applied struct {
	Name    string `json:"name"`
	Created bool   `json:"created" doc:"There was no such job before"`
	How     string `json:"how" enum:"started,continued,replayed,unchanged" doc:"started: a new job; continued: from the old version's checkpoint; replayed: its state is built again from the log; unchanged: the old version is the same"`
	Detail  string `json:"detail" doc:"The same in words, with the reason"`
}

type jobInput struct {
	Name string `path:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*$" doc:"Job name"`
}

type applyInput struct {
	Name string `path:"name" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9_-][A-Za-z0-9._-]*$" doc:"Job name"`
	Body JobChange
}

type jobListAnswer struct {
	Jobs []Job `json:"jobs" nullable:"false" doc:"In order of name"`
}

// queryProblem is the answer to a script that does not compile.
type queryProblem struct {
	huma.ErrorModel
	Line     int       `json:"line" doc:"Of the first mistake, from 1, in the query"`
	Column   int       `json:"column" doc:"From 1, in characters"`
	Mistakes []mistake `json:"mistakes" doc:"All of them"`
}

// A mistake is one place of a script that is wrong.
type mistake struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty" doc:"What to do about it"`
}

func newQueryProblem(bad []*saql.Error) *queryProblem {
	p := &queryProblem{Line: bad[0].At.Line, Column: bad[0].At.Column}
	p.Status, p.Title, p.Detail = http.StatusUnprocessableEntity, http.StatusText(http.StatusUnprocessableEntity), bad[0].Error()
	for _, b := range bad {
		p.Mistakes = append(p.Mistakes, mistake{b.At.Line, b.At.Column, b.Msg, b.Hint})
	}
	return p
}

func (s *server) registerJobs() {
	tags := []string{"jobs"}
	huma.Register(s.huma, huma.Operation{
		OperationID: "list-jobs", Method: http.MethodGet, Path: "/jobs", Tags: tags,
		Summary: "The Stream Analytics jobs and how they do",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body jobListAnswer }, error) {
		jobs, err := s.Jobs.List(ctx)
		if err != nil {
			return nil, s.failJob(ctx, "listing jobs", err)
		}
		return &struct{ Body jobListAnswer }{jobListAnswer{jobs}}, nil
	})
	huma.Register(s.huma, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/jobs/{name}", Tags: tags,
		Summary: "A job, its query and how it does", Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *jobInput) (*struct{ Body *Job }, error) {
		job, err := s.Jobs.Job(ctx, in.Name)
		if err != nil {
			return nil, s.failJob(ctx, "reading the job", err)
		}
		return &struct{ Body *Job }{job}, nil
	})
	huma.Register(s.huma, huma.Operation{
		OperationID: "apply-job", Method: http.MethodPut, Path: "/jobs/{name}", Tags: tags,
		Summary:     "Make a job, or replace its query and settings without a gap",
		Description: "A query that does not compile is refused with the line and column in the answer, and the old version goes on.",
		Errors:      []int{http.StatusConflict},
	}, func(ctx context.Context, in *applyInput) (*struct{ Body *Applied }, error) {
		applied, err := s.Jobs.Apply(ctx, in.Name, in.Body)
		if err != nil {
			return nil, s.failJob(ctx, "applying the job", err)
		}
		return &struct{ Body *Applied }{applied}, nil
	})
	for _, a := range []struct {
		action JobAction
		says   string
	}{{JobStart, "Start a job where it stopped"}, {JobStop, "Stop a job behind a checkpoint"}} {
		huma.Register(s.huma, huma.Operation{
			OperationID: string(a.action) + "-job", Method: http.MethodPost, Path: "/jobs/{name}/" + string(a.action), Tags: tags,
			Summary: a.says, Errors: []int{http.StatusNotFound, http.StatusConflict},
		}, func(ctx context.Context, in *jobInput) (*struct{ Body *Job }, error) {
			return s.doJob(ctx, in.Name, a.action)
		})
	}
	huma.Register(s.huma, huma.Operation{
		OperationID: "remove-job", Method: http.MethodDelete, Path: "/jobs/{name}", Tags: tags,
		Summary:       "Stop a job and forget its state; what it wrote stays",
		DefaultStatus: http.StatusNoContent, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *jobInput) (*struct{}, error) {
		return nil, s.failJob(ctx, "removing the job", s.Jobs.Do(ctx, in.Name, JobRemove))
	})
}

// doJob starts or stops a job and answers how it is then.
func (s *server) doJob(ctx context.Context, name string, action JobAction) (*struct{ Body *Job }, error) {
	err := s.Jobs.Do(ctx, name, action)
	if err != nil {
		return nil, s.failJob(ctx, "changing the job", err)
	}
	job, err := s.Jobs.Job(ctx, name)
	if err != nil {
		return nil, s.failJob(ctx, "reading the job", err)
	}
	return &struct{ Body *Job }{job}, nil
}

// failJob answers errors of Jobs.
func (s *server) failJob(ctx context.Context, doing string, err error) error {
	var answer huma.StatusError
	switch bad := saql.Errors(err); {
	case err == nil:
		return nil
	case len(bad) > 0:
		return newQueryProblem(bad)
	case errors.As(err, &answer):
		return answer
	case errors.Is(err, ErrNoJob):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrJobRefused):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrJobSettings):
		return huma.Error422UnprocessableEntity(err.Error())
	}
	return s.fail(ctx, doing, err)
}

// noJobs is what a node without the role stream has.
type noJobs struct{}

var errNoStream = huma.Error503ServiceUnavailable("this node runs no jobs: it has not the role stream")

func (noJobs) List(context.Context) ([]Job, error)         { return []Job{}, nil }
func (noJobs) Job(context.Context, string) (*Job, error)   { return nil, ErrNoJob }
func (noJobs) Do(context.Context, string, JobAction) error { return errNoStream }
func (noJobs) Apply(context.Context, string, JobChange) (*Applied, error) {
	return nil, errNoStream
}
func (noJobs) Replay(context.Context, Replay, func(ReplayRow) error) (*ReplayEnd, error) {
	return nil, errNoStream
}
