package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/config"
)

func newJob(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "job",
		Short: "The Stream Analytics jobs of the running weir",
		Long: `List, show and change the Stream Analytics jobs of the weir that runs on the data
folder. A job is a query, an .asaql file as Azure takes it; its inputs and outputs
are aliases that the configuration binds (docs/stream-analytics.md).`,
	}
	c.AddCommand(newJobList(g), newJobShow(g), newJobApply(g), newJobDo(g, api.JobStart), newJobDo(g, api.JobStop), newJobDo(g, api.JobRemove))
	return c
}

func newJobList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the jobs: rates, delay, state, dead letters",
		Long: `List the jobs: what comes in and goes out per second over the last ten seconds, how
far the watermark is behind the clock, the size of the state, and the events and
rows that failed.`,
		Example: `  weir job list
  weir job list --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var answer struct{ Jobs []api.Job }
			if err := g.callAPI(c.Context(), "job list", http.MethodGet, "/jobs", nil, &answer); err != nil {
				return err
			}
			if g.json {
				for _, j := range answer.Jobs {
					if err := g.print(j, nil); err != nil {
						return err
					}
				}
				return nil
			}
			rows := [][]string{{"NAME", "STATE", "EVENTS/S", "ROWS/S", "DELAY", "STATE SIZE", "DEAD LETTERS"}}
			for _, j := range answer.Jobs {
				rows = append(rows, []string{j.Name, j.State, rate(j.EventsPerSecond), rate(j.RowsPerSecond), delay(&j), config.Size(j.StateBytes).String(), fmt.Sprint(j.DeadLetters)})
			}
			table(g.stdout, rows)
			return nil
		},
	}
}

// callAPI is one call of the API by the command what.
func (g *globals) callAPI(ctx context.Context, what, method, path string, body, out any) error {
	a, err := g.api(what)
	if err != nil {
		return err
	}
	return a.call(ctx, method, path, body, out)
}

func rate(perSecond float64) string { return fmt.Sprintf("%.4g", perSecond) }

// delay is how far a job's watermark is behind, for people.
func delay(j *api.Job) string {
	if j.Watermark == nil {
		return "-"
	}
	return time.Duration(j.DelaySeconds * float64(time.Second)).Round(time.Millisecond).String()
}

func jobPath(name, action string) string { return "/jobs/" + url.PathEscape(name) + action }

func newJobShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show a job: its settings, counts and query",
		Example: `  weir job show anomaly
  weir job show anomaly --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var j api.Job
			if err := g.callAPI(c.Context(), "job show", http.MethodGet, jobPath(args[0], ""), nil, &j); err != nil {
				return err
			}
			return g.print(j, func(w io.Writer) { showJob(w, &j) })
		},
	}
}

func showJob(w io.Writer, j *api.Job) {
	s := &j.Settings
	rows := [][]string{
		{"name", j.Name}, {"state", j.State},
		{"inputs", strings.Join(j.Inputs, ", ")}, {"outputs", strings.Join(j.Outputs, ", ")},
		{"time", fmt.Sprintf("late %s, out of order %s, then %s", s.Late, s.OutOfOrder, s.Policy)},
		{"errors", fmt.Sprintf("of events: %s, of outputs: %s", s.Errors, s.OutputErrors)},
		{"compatibility", s.Compatibility},
		{"watermark", instant(j.Watermark) + ", delay " + delay(j)},
		{"events", fmt.Sprintf("%d, %s a second", j.Events, rate(j.EventsPerSecond))},
		{"rows", fmt.Sprintf("%d, %s a second", j.Rows, rate(j.RowsPerSecond))},
		{"late", fmt.Sprint(j.Late)}, {"dead letters", fmt.Sprint(j.DeadLetters)},
		{"state", fmt.Sprintf("%s, checkpoint %s", config.Size(j.StateBytes), instant(j.Checkpoint))},
	}
	if j.Error != "" {
		rows = slices.Insert(rows, 2, []string{"error", j.Error})
	}
	table(w, rows)
	fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(j.Query))
}

func instant(t *time.Time) string {
	if t == nil {
		return "none yet"
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}

// settings are the flags of the commands that run a query.
type settings struct{ api.JobSettings }

func (s *settings) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.Late, "late", "", "how late an event's own time may be against its arrival, `DURATION`; default: 5s")
	f.StringVar(&s.OutOfOrder, "out-of-order", "", "how far events may be out of order by their own time, `DURATION`; default: 0s")
	f.StringVar(&s.Policy, "policy", "", "what happens to events beyond that: `adjust|drop`; default: adjust")
	f.StringVar(&s.Compatibility, "compatibility", "", "the compatibility `LEVEL` of the language: 1.0, 1.1 or 1.2; default: 1.2")
	f.StringVar(&s.Errors, "errors", "", "what happens to an event that makes the query fail: `drop|stop`; default: drop")
}

func newJobApply(g *globals) *cobra.Command {
	var s settings
	var name, from string
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make a job of a query, or replace a job's query without a gap",
		Long: `Make a job of the query in FILE, or replace the query of the job of that name, and
start it. Where the new version keeps the same state as the old one it goes on from
its checkpoint; else it reads the log back over its largest window first. The
answer says which. A query with an error is refused with its line and column, and
the old version goes on.

The job stays after a restart. Where the configuration names a job of that name,
its query file is applied again at each start.`,
		Example: `  weir job apply jobs/anomaly.asaql
  weir job apply jobs/anomaly.asaql --name anomaly-2 --late 1m --from oldest`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("reading the query: %w", err)
			}
			s.From = from
			name := cmp.Or(name, strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])))
			var answer api.Applied
			err = g.callAPI(c.Context(), "job apply", http.MethodPut, jobPath(name, ""), api.JobChange{Query: string(text), Settings: s.JobSettings}, &answer)
			if err != nil {
				return atFile(args[0], err)
			}
			return g.print(answer, func(w io.Writer) { fmt.Fprintf(w, "%s %s: %s\n", answer.Name, answer.How, answer.Detail) })
		},
	}
	s.register(c)
	c.Flags().StringVar(&name, "name", "", "the job's `NAME`; default: that of the file, without its ending")
	c.Flags().StringVar(&from, "from", "", "where a new job starts, `now|oldest|DURATION` back; default: now")
	return c
}

// newJobDo makes the commands that change a job's state.
func newJobDo(g *globals, action api.JobAction) *cobra.Command {
	short := map[api.JobAction]string{
		api.JobStart:  "Start a job where it stopped",
		api.JobStop:   "Stop a job behind a checkpoint",
		api.JobRemove: "Stop a job and forget its state; what it wrote stays",
	}
	done := map[api.JobAction]string{api.JobStart: "started", api.JobStop: "stopped", api.JobRemove: "removed"}
	return &cobra.Command{
		Use:     string(action) + " NAME",
		Short:   short[action],
		Example: "  weir job " + string(action) + " anomaly",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			method, path := http.MethodPost, jobPath(args[0], "/"+string(action))
			if action == api.JobRemove {
				method, path = http.MethodDelete, jobPath(args[0], "")
			}
			if err := g.callAPI(c.Context(), "job "+string(action), method, path, nil, nil); err != nil {
				return err
			}
			v := map[string]string{"name": args[0], "state": done[action]}
			return g.print(v, func(w io.Writer) { fmt.Fprintf(w, "%s %s\n", args[0], done[action]) })
		},
	}
}
