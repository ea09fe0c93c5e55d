package node

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// maxReasons is how many failed events a replay names one by one.
const maxReasons = 5

// Replay runs a query over the logs' past: it writes to no output, so it may
// name any. It reads from as far before the beginning as windows reach, so that
// the first rows are whole, and leaves out those before; windows that are not
// over give none.
func (j *jobs) Replay(ctx context.Context, r api.Replay, give func(api.ReplayRow) error) (*api.ReplayEnd, error) {
	settings := settingsOf(config.DefaultJob())
	if err := overlay(&settings, r.Settings); err != nil {
		return nil, err
	}
	env := j.env
	env.Outputs = nil
	program, err := stream.Prepare(r.Query, env)
	if err != nil {
		return nil, err
	}
	now, from := time.Now(), r.From.Add(-time.Duration(program.Reach())*100)
	past := map[string]stream.Past{}
	for _, in := range program.Inputs() {
		start := from
		if in.Timestamp != nil {
			start = start.Add(-stream.Early)
		}
		past[in.Alias] = stream.Past{Log: j.node.logOf(in.Alias), From: eventlog.At(start), Until: untilOf(r.To)}
	}
	if r.To != nil && r.To.Before(now) {
		now = *r.To
	}
	first := saql.TicksOf(r.From.Add(-settings.Policy.Late)) // an adjusted event is no older
	end := &api.ReplayEnd{}
	var line []byte
	replay := stream.Replay{
		Program: program, Policy: &settings.Policy, Now: now, Ingest: stream.IngestOptions{BoolAsBigint: settings.Level != "1.2"},
		Row: func(output stream.OutputPlan, row *saql.Row) error {
			if row.Time < first {
				return nil
			}
			end.Rows++
			line = output.Schema.AppendJSON(line[:0], row.Values)
			return give(api.ReplayRow{Into: output.Name, Time: row.Time.Time().UTC(), Row: line})
		},
		Dead: func(d *stream.DeadLetter) error {
			if !d.Enqueued.IsZero() && d.Enqueued.Before(r.From) {
				return nil
			}
			end.DeadLetters++
			if settings.StopOnError {
				return fmt.Errorf("%w: record %d of partition %d failed: %s", api.ErrJobRefused, d.Seq, d.Partition, d.Reason)
			}
			if len(end.Reasons) < maxReasons {
				end.Reasons = append(end.Reasons, fmt.Sprintf("record %d of partition %d: %s", d.Seq, d.Partition, d.Reason))
			}
			return nil
		},
	}
	saw, err := replay.Log(ctx, past)
	if err != nil {
		return nil, err
	}
	end.Events, end.Late, end.Dropped = saw.Events, saw.Late+saw.Early+saw.OutOfOrder, saw.Dropped
	if saw.Events > 0 {
		t := saw.Watermark.Time().UTC()
		end.Watermark = &t
	}
	return end, nil
}

// untilOf is where a replay ends: with what the log has when it begins, or
// before a moment.
func untilOf(to *time.Time) eventlog.Position {
	if to == nil {
		return eventlog.Latest()
	}
	return eventlog.At(*to)
}

// logOf is the log behind an input's alias; the compiler has seen that it is one.
func (n *Node) logOf(alias string) *namedLog {
	in, _ := lookup(n.config.Inputs, alias)
	name := cmp.Or(in.Log, config.Telemetry)
	for _, l := range n.logs {
		if l.name == name {
			return l
		}
	}
	return n.log // not reached: the configuration's logs are all open
}
