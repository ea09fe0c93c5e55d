package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/api"
)

// alertFlags are those of weir alerts.
type alertFlags struct {
	since  time.Duration
	job    string
	limit  int
	follow bool
}

func newAlerts(g *globals) *cobra.Command {
	var f alertFlags
	c := &cobra.Command{
		Use:   "alerts",
		Short: "Print the alerts of the jobs",
		Long: `Print the alerts that the jobs of the running weir raised, oldest first: the rows
that they wrote to outputs of the kind alerts. With --follow it goes on with those
that come, until interrupted.`,
		Example: `  weir alerts
  weir alerts --since 10m --job anomaly --json
  weir alerts --follow`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := g.api("alerts")
			if err != nil {
				return err
			}
			if f.follow {
				return g.followAlerts(c.Context(), a, f)
			}
			return g.listAlerts(c.Context(), a, f)
		},
	}
	c.Flags().DurationVar(&f.since, "since", time.Hour, "begin with the alerts of that long ago; 0 with --follow: with those that come")
	c.Flags().StringVar(&f.job, "job", "", "only those of the job `NAME`")
	c.Flags().IntVar(&f.limit, "limit", 1000, "the newest so many at most; with --follow: stop after so many, 0: never")
	c.Flags().BoolVar(&f.follow, "follow", false, "go on with the alerts that come")
	c.PreRun = func(c *cobra.Command, _ []string) { // what makes sense with --follow
		if f.follow && !c.Flags().Changed("limit") {
			f.limit = 0
		}
		if f.follow && !c.Flags().Changed("since") {
			f.since = 0
		}
	}
	return c
}

// query is what the API is asked for.
func (f *alertFlags) query() url.Values {
	q := url.Values{}
	if f.since > 0 {
		q.Set("since", time.Now().Add(-f.since).UTC().Format(time.RFC3339Nano))
	}
	if f.job != "" {
		q.Set("job", f.job)
	}
	return q
}

// listAlerts gathers pages, newest first, and prints them the other way round.
func (g *globals) listAlerts(ctx context.Context, a *apiClient, f alertFlags) error {
	q := f.query()
	q.Set("limit", strconv.Itoa(max(min(f.limit, 1000), 1)))
	var all []api.Alert
	for path := "/alerts?" + q.Encode(); path != "" && len(all) < f.limit; {
		answer, err := a.open(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		var page struct{ Alerts []api.Alert }
		err = json.NewDecoder(io.LimitReader(answer.Body, maxResponse)).Decode(&page)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return fmt.Errorf("reading the alerts: %w", err)
		}
		all = append(all, page.Alerts...)
		path, _, _ = strings.Cut(strings.TrimPrefix(answer.Header.Get("Link"), "<"), ">")
	}
	all = all[:min(len(all), f.limit)]
	for i := len(all) - 1; i >= 0; i-- {
		if err := g.printAlert(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (g *globals) printAlert(a *api.Alert) error {
	return g.print(a, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %s  %s\n", a.Time.Local().Format("2006-01-02 15:04:05.000"), a.Job, a.Row)
	})
}

func (g *globals) followAlerts(ctx context.Context, a *apiClient, f alertFlags) error {
	answer, err := a.open(ctx, http.MethodGet, "/alerts/live?"+f.query().Encode(), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	seen := 0
	return serverEvents(answer.Body, func(event, data string) (more bool, err error) {
		if event != "alert" {
			g.say("%s %s", event, data)
			return true, nil
		}
		var alert api.Alert
		if err := json.Unmarshal([]byte(data), &alert); err != nil {
			return false, fmt.Errorf("an alert is not understood: %w", err)
		}
		seen++
		return seen != f.limit, g.printAlert(&alert)
	})
}

// serverEvents gives each of a stream of server-sent events until use wants no
// more. The end of the stream is an error.
func serverEvents(stream io.Reader, use func(event, data string) (more bool, err error)) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(make([]byte, 64<<10), maxEvent)
	event := ""
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if more, err := use(event, data); err != nil || !more {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the live tail broke off: %w", err)
	}
	return errors.New("the live tail ended: weir stopped")
}
