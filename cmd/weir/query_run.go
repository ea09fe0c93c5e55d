package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/internal/recordfile"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// maxReasons is how many failed events are named one by one.
const maxReasons = 5

// runQuery runs a query over files.
func (g *globals) runQuery(ctx context.Context, file string, f *queryFlags) error {
	env, endFunctions, err := f.environment(ctx, file)
	if err != nil {
		return err
	}
	defer endFunctions()
	p, err := compile(file, env)
	if err != nil {
		return err
	}
	inputs := map[string]iter.Seq2[json.RawMessage, error]{}
	arrivals := false
	for _, arg := range f.inputs {
		alias, path, _ := strings.Cut(arg, "=")
		first, all, stop := peek(records(path, recordfile.FormatOf(path)))
		defer stop()
		inputs[alias] = all
		arrivals = arrivals || saysArrival(first)
	}
	policy, err := f.policy(arrivals)
	if err != nil {
		return err
	}
	printer := &rowPrinter{g: g}
	var end api.ReplayEnd
	var line []byte
	r := stream.Replay{
		Program: p, Policy: policy, Ingest: ingestOf(f.Compatibility), Arrival: time.Unix(0, 0),
		Row: func(output stream.OutputPlan, row *saql.Row) error {
			line = output.Schema.AppendJSON(line[:0], row.Values)
			return printer.row(output.Name, row.Time, line)
		},
		Dead: func(d *stream.DeadLetter) error {
			if f.Errors == "stop" {
				return fmt.Errorf("an event failed: %s", reasonOf(d))
			}
			if len(end.Reasons) < maxReasons {
				end.Reasons = append(end.Reasons, reasonOf(d))
			}
			return nil
		},
	}
	saw, err := r.Records(ctx, inputs)
	if flushed := printer.flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return err
	}
	end.Events, end.Rows, end.Dropped = saw.Events, saw.Rows, saw.Dropped
	end.Late = saw.Late + saw.Early + saw.OutOfOrder
	end.DeadLetters = saw.Undecoded + saw.Failed
	if saw.Watermark > 0 {
		t := saw.Watermark.Time().UTC()
		end.Watermark = &t
	}
	return g.sayEnd(&end)
}

// reasonOf says which event failed and why.
func reasonOf(d *stream.DeadLetter) string {
	where := fmt.Sprintf("event %d", d.Seq+1)
	if d.Input != "" {
		where = d.Input + ", " + where
	}
	if d.At != "" {
		where += ", query " + d.At
	}
	return where + ": " + d.Reason
}

// records reads a file, standard input for "-".
func records(path, format string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		file := os.Stdin
		if path != "-" {
			var err error
			if file, err = os.Open(path); err != nil {
				yield(nil, fmt.Errorf("reading events: %w", err))
				return
			}
			defer file.Close()
		}
		for r, err := range recordfile.Read(file, format) {
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// peek returns the first of some records and all of them, which may be ranged
// over once: what was read of a pipe is gone.
func peek(records iter.Seq2[json.RawMessage, error]) (first json.RawMessage, all iter.Seq2[json.RawMessage, error], stop func()) {
	next, stop := iter.Pull2(records)
	r, err, ok := next()
	all = func(yield func(json.RawMessage, error) bool) {
		for ; ok; r, err, ok = next() {
			if !yield(r, err) {
				return
			}
		}
	}
	return r, all, stop
}

// saysArrival reports that a record tells when it arrived.
func saysArrival(record json.RawMessage) bool {
	var r struct{ EventEnqueuedUtcTime any }
	return json.Unmarshal(record, &r) == nil && r.EventEnqueuedUtcTime != nil
}

// policy is nil where neither flags nor records ask for one.
func (s *settings) policy(arrivals bool) (*stream.Policy, error) {
	p := stream.DefaultPolicy()
	asked := arrivals
	for _, d := range []struct {
		flag, value string
		to          *time.Duration
	}{{"--late", s.Late, &p.Late}, {"--out-of-order", s.OutOfOrder, &p.OutOfOrder}} {
		if d.value == "" {
			continue
		}
		v, err := time.ParseDuration(d.value)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("%s %q is not a duration: write a number with its unit, such as 500ms or 5s", d.flag, d.value)
		}
		*d.to, asked = v, true
	}
	switch s.Policy {
	case "":
	case "adjust", "drop":
		p.Drop, asked = s.Policy == "drop", true
	default:
		return nil, fmt.Errorf("--policy %q: it is adjust or drop", s.Policy)
	}
	if !asked {
		return nil, nil
	}
	return &p, nil
}

// ingestOf is what a compatibility level says of input.
func ingestOf(level string) stream.IngestOptions {
	return stream.IngestOptions{BoolAsBigint: level == "1.0" || level == "1.1"}
}

// sayEnd prints the counts behind the rows.
func (g *globals) sayEnd(end *api.ReplayEnd) error {
	if g.json {
		return encode(g.stderr, end)
	}
	for _, r := range end.Reasons {
		g.say("failed: %s", r)
	}
	watermark := "none"
	if end.Watermark != nil {
		watermark = end.Watermark.UTC().Format("2006-01-02T15:04:05.0000000Z")
	}
	g.say("watermark %s: %d events, %d rows, %d late, early or out of order, %d of them dropped, %d failed",
		watermark, end.Events, end.Rows, end.Late, end.Dropped, end.DeadLetters)
	return nil
}
