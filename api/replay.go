package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/weir-iot/weir/saql"
)

const (
	replayPath = "/jobs/replay"
	maxReplays = 2                      // at once
	replayLag  = 200 * time.Millisecond // that a row waits for more, about
)

// A Replay is a query to run over the past.
type Replay struct {
	Query    string      `json:"query" minLength:"1" maxLength:"65536" doc:"The text of the .asaql file"`
	Settings JobSettings `json:"settings,omitempty" required:"false"`
	From     time.Time   `json:"from" doc:"Begin with what arrived at that moment or later"`
	To       *time.Time  `json:"to,omitempty" doc:"End with what arrived before that moment. Default: with what the log has when the replay begins"`
}

// A ReplayRow is one line of a replay's answer.
type ReplayRow struct {
	Into string          `json:"into" doc:"The output's alias"`
	Time time.Time       `json:"time" doc:"System.Timestamp() of the row"`
	Row  json.RawMessage `json:"row"`
}

// ReplayEnd is what a replay has to say behind its last row.
type ReplayEnd struct {
	Watermark   *time.Time `json:"watermark" doc:"Windows up to it are closed; null: there was no event"`
	Events      int64      `json:"events" doc:"Those included that came before from and that the first windows need"`
	Rows        int64      `json:"rows"`
	Late        int64      `json:"late" doc:"Events that came too late, early or out of order: adjusted or dropped as the policy says"`
	Dropped     int64      `json:"dropped" doc:"Those of them that were dropped"`
	DeadLetters int64      `json:"deadLetters" doc:"Events that failed"`
	Reasons     []string   `json:"reasons,omitempty" doc:"Why, of the first few"`
}

func (s *server) registerReplay() {
	huma.Register(s.huma, huma.Operation{
		OperationID: "replay", Method: http.MethodPost, Path: replayPath, Tags: []string{"jobs"},
		Summary: "Run a query over what the log keeps, and get its rows",
		Description: "The answer is one JSON object per line: {into, time, row} for each row, then {end} with counts, " +
			"or {error} where the replay could not be finished. Nothing is written to any output.",
		Errors: []int{http.StatusTooManyRequests},
		Responses: map[string]*huma.Response{"200": {
			Description: "The rows",
			Content:     map[string]*huma.MediaType{"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, func(_ context.Context, in *struct{ Body Replay }) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) { s.replay(hc, in.Body) }}, nil
	})
}

func (s *server) replay(hc huma.Context, r Replay) {
	select {
	case s.replays <- struct{}{}:
		defer func() { <-s.replays }()
	default:
		_ = huma.WriteErr(s.huma, hc, http.StatusTooManyRequests, fmt.Sprintf("%d replays run already: wait for one of them", maxReplays))
		return
	}
	_, w := humago.Unwrap(hc)
	out := &lineWriter{w: w, ctl: http.NewResponseController(w), now: s.Now}
	end, err := s.Jobs.Replay(hc.Context(), r, func(row ReplayRow) error { return out.line(row, false) })
	switch {
	case err == nil:
		_ = out.line(struct {
			End *ReplayEnd `json:"end"`
		}{end}, true) // the client may be gone
	case out.sent:
		s.failed(hc.Context(), err)
		_ = out.line(struct {
			Error string `json:"error"`
		}{publicReason(err)}, true)
	default:
		s.refuse(hc, s.failJob(hc.Context(), "replaying", err))
	}
}

// failed logs what ends a replay that had begun, unless the client went away.
func (s *server) failed(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.Logger.Error("a replay ended early", "error", err)
	}
}

// publicReason is what a client may know of an error behind its first rows.
func publicReason(err error) string {
	if len(saql.Errors(err)) > 0 || errors.Is(err, ErrJobRefused) {
		return err.Error()
	}
	return "the replay failed: the node's log says why"
}

// refuse writes an error in place of a stream.
func (s *server) refuse(hc huma.Context, err error) {
	var p *queryProblem
	if errors.As(err, &p) {
		hc.SetHeader("Content-Type", "application/problem+json")
		hc.SetStatus(p.Status)
		_ = json.NewEncoder(hc.BodyWriter()).Encode(p) // the client may be gone
		return
	}
	var se huma.StatusError
	if errors.As(err, &se) {
		_ = huma.WriteErr(s.huma, hc, se.GetStatus(), se.Error())
	}
}

// lineWriter writes values as lines of JSON, many at once.
type lineWriter struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	now  func() time.Time
	buf  bytes.Buffer
	last time.Time // when it was flushed
	sent bool
}

func (o *lineWriter) line(v any, last bool) error {
	e := json.NewEncoder(&o.buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("api: writing a row: %w", err)
	}
	if !last && o.buf.Len() < chunk && o.now().Sub(o.last) < replayLag {
		return nil
	}
	if !o.sent {
		o.sent = true
		o.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	o.last = o.now()
	_ = o.ctl.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer has deadlines (tests)
	_, err := o.w.Write(o.buf.Bytes())
	o.buf.Reset()
	if err == nil {
		err = o.ctl.Flush()
	}
	return err
}
