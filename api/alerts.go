package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/weir-iot/weir/store"
)

const (
	alertTailPath = "/alerts/live"
	// maxAlertScan is the most alerts that one page looks at, those of other jobs
	// included: a page may be short of its limit and still have a next one.
	maxAlertScan = 20_000
	// maxAlertsBehind is how many alerts may wait for a client of the live list.
	maxAlertsBehind = 10_000
)

// An Alert is a row that a job wrote to an output of the kind alerts.
type Alert struct {
	ID   string          `json:"id" doc:"Stable: the same alert has it again after a crash or a replay"`
	Job  string          `json:"job"`
	Into string          `json:"into" doc:"The output's alias"`
	Time time.Time       `json:"time" doc:"System.Timestamp() of the row"`
	Row  json.RawMessage `json:"row"`
}

// Alerts are the alerts of a node: kept in its hot store, and handed on as they
// come.
type Alerts struct {
	// Device is the device id under which the store keeps them.
	Device string
	// Decode makes an alert of a document; the document is borrowed.
	Decode func(store.Document) (Alert, error)

	mu    sync.Mutex
	tails map[*alertTail]struct{}
}

// Publish hands alerts that were just stored to those who follow. It never waits.
func (a *Alerts) Publish(added []Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for t := range a.tails {
		t.add(added)
	}
}

func (a *Alerts) follow(job string) *alertTail {
	t := &alertTail{job: job, some: make(chan struct{}, 1)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tails == nil {
		a.tails = map[*alertTail]struct{}{}
	}
	a.tails[t] = struct{}{}
	return t
}

func (a *Alerts) leave(t *alertTail) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tails, t)
}

// An alertTail holds what one client has not been sent yet.
type alertTail struct {
	job     string // "": all
	some    chan struct{}
	mu      sync.Mutex
	waiting []Alert
	missed  int // beyond maxAlertsBehind
}

func (t *alertTail) add(added []Alert) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range added {
		switch {
		case t.job != "" && t.job != a.Job:
		case len(t.waiting) == maxAlertsBehind:
			t.missed++
		default:
			t.waiting = append(t.waiting, a)
		}
	}
	select {
	case t.some <- struct{}{}:
	default:
	}
}

func (t *alertTail) take() (waiting []Alert, missed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting, missed = t.waiting, t.missed
	t.waiting, t.missed = nil, 0
	return waiting, missed
}

type alertsInput struct {
	Since  moment `query:"since" doc:"Only alerts of that moment or later: RFC 3339, or seconds since 1970. Default: 24 hours ago"`
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Alerts of one page. With more the answer has a Link header with rel=next"`
	Job    string `query:"job" maxLength:"64" doc:"Only those of this job"`
	Cursor cursor `query:"cursor" doc:"Continues a page: taken from the Link header"`
}

type alertsAnswer struct {
	Alerts []Alert `json:"alerts" nullable:"false" doc:"Newest first"`
}

type alertsOutput struct {
	Link string `header:"Link"`
	Body alertsAnswer
}

func (s *server) registerAlerts() {
	huma.Register(s.huma, huma.Operation{
		OperationID: "list-alerts", Method: http.MethodGet, Path: "/alerts", Tags: []string{"alerts"},
		Summary: "The alerts of the jobs, newest first",
	}, s.listAlerts)
	huma.Register(s.huma, huma.Operation{
		OperationID: "live-alerts", Method: http.MethodGet, Path: alertTailPath, Tags: []string{"alerts"},
		Summary: "Alerts as server-sent events, as they are stored",
		Description: "Events are named alert, or gap with the number of alerts that the client was too slow for. " +
			"A client that reconnects with Last-Event-ID gets what it missed, and may get some alerts again: their id tells.",
		Errors: []int{http.StatusTooManyRequests},
		Responses: map[string]*huma.Response{"200": {
			Description: "The events",
			Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, s.liveAlerts)
}

func (s *server) listAlerts(ctx context.Context, in *alertsInput) (*alertsOutput, error) {
	if in.Since.IsZero() {
		in.Since.Time = s.Now().Add(-24 * time.Hour)
	}
	out := &alertsOutput{Body: alertsAnswer{Alerts: []Alert{}}}
	r := store.Range{DeviceID: s.Alerts.Device, From: in.Since.Time, Before: store.Cursor(in.Cursor), Limit: maxAlertScan + 1}
	seen, bytes := 0, 0
	var last store.Cursor
	for d, err := range s.Store.Read(ctx, r) {
		if err != nil {
			return nil, s.fail(ctx, "reading alerts", err)
		}
		if len(out.Body.Alerts) == in.Limit || seen == maxAlertScan || bytes > MaxPageBytes {
			out.Link = alertsLink(in, last)
			break
		}
		seen++
		last = store.Cursor{Time: d.Time, ID: strings.Clone(d.ID)} // d is borrowed
		a, err := s.Alerts.Decode(d)
		if err != nil {
			return nil, s.fail(ctx, "reading alerts", err)
		}
		if in.Job == "" || in.Job == a.Job {
			out.Body.Alerts = append(out.Body.Alerts, a)
			bytes += len(a.Row)
		}
	}
	return out, nil
}

func alertsLink(in *alertsInput, last store.Cursor) string {
	q := url.Values{"since": {in.Since.UTC().Format(time.RFC3339Nano)}, "limit": {strconv.Itoa(in.Limit)}, "cursor": {cursor(last).String()}}
	if in.Job != "" {
		q.Set("job", in.Job)
	}
	return "</alerts?" + q.Encode() + `>; rel="next"`
}

type liveAlertsInput struct {
	Since  moment `query:"since" doc:"Begin with stored alerts of that moment or later, the last 1000 at most. Default: with those that come"`
	Job    string `query:"job" maxLength:"64" doc:"Only those of this job"`
	LastID moment `header:"Last-Event-ID" doc:"As since: what a browser sends when it reconnects"`
}

func (s *server) liveAlerts(_ context.Context, in *liveAlertsInput) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		if !s.openTail(hc) {
			return
		}
		defer s.closeTail()
		_, w := humago.Unwrap(hc)
		t := &tail{server: s, w: w, ctl: http.NewResponseController(w)}
		follow := s.Alerts.follow(in.Job) // before the stored ones are read: none falls between
		defer s.Alerts.leave(follow)
		since := in.LastID
		if since.IsZero() {
			since = in.Since
		}
		t.alerts(hc.Context(), follow, since.Time)
	}}, nil
}

// alerts sends what is stored since a moment, then what comes.
func (t *tail) alerts(ctx context.Context, follow *alertTail, since time.Time) {
	if !t.begin([]byte(streamHead)) {
		return
	}
	sent, err := t.storedAlerts(ctx, follow.job, since)
	if err != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var b bytes.Buffer
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			b.WriteString(": still here\n\n")
		case <-follow.some:
			waiting, missed := follow.take()
			for i := range waiting {
				if !sent[waiting[i].ID] {
					appendAlert(&b, &waiting[i])
				}
			}
			if missed > 0 {
				fmt.Fprintf(&b, "event: gap\ndata: {\"missed\":%d}\n\n", missed)
			}
			sent = nil // only what came while the stored ones were read can be among them
		}
		if b.Len() > 0 && !t.write(b.Bytes()) {
			return
		}
	}
}

// storedAlerts sends the stored alerts since a moment, oldest first, and
// returns their ids.
func (t *tail) storedAlerts(ctx context.Context, job string, since time.Time) (map[string]bool, error) {
	if since.IsZero() {
		return nil, nil
	}
	page, err := t.listAlerts(ctx, &alertsInput{Since: moment{since}, Limit: 1000, Job: job})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	sent := map[string]bool{}
	for i := len(page.Body.Alerts) - 1; i >= 0; i-- {
		a := &page.Body.Alerts[i]
		sent[a.ID] = true
		appendAlert(&b, a)
	}
	if b.Len() > 0 && !t.write(b.Bytes()) {
		return nil, http.ErrAbortHandler
	}
	return sent, nil
}

// appendAlert writes an event whose id is the alert's time: where a client goes on.
func appendAlert(b *bytes.Buffer, a *Alert) {
	text, err := json.Marshal(a)
	if err != nil {
		return // Decode gave JSON
	}
	fmt.Fprintf(b, "event: alert\nid: %s\ndata: %s\n\n", a.Time.UTC().Format(time.RFC3339Nano), text)
}
