package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/saql"
)

// fakeJobs has the job "hot", refuses queries that say so, and gives three rows
// to a replay.
type fakeJobs struct {
	did    []string
	change JobChange
	replay Replay
	broken error // behind the rows of a replay
}

func (f *fakeJobs) List(context.Context) ([]Job, error) {
	return []Job{{Name: "hot", State: "running", Inputs: []string{"IoTHubInput"}, Outputs: []string{"hot"}}}, nil
}

func (f *fakeJobs) Job(_ context.Context, name string) (*Job, error) {
	if name != "hot" {
		return nil, fmt.Errorf("%w: %s", ErrNoJob, name)
	}
	return &Job{Name: "hot", State: "stopped", Query: "SELECT *"}, nil
}

func (f *fakeJobs) Apply(_ context.Context, name string, change JobChange) (*Applied, error) {
	f.change = change
	switch change.Query {
	case "SELEC":
		return nil, fmt.Errorf("stream: compiling: %w", errors.Join(
			&saql.Error{At: saql.Pos{Line: 3, Column: 7}, Msg: "found SELEC", Hint: "did you mean SELECT?"},
			&saql.Error{At: saql.Pos{Line: 4, Column: 1}, Msg: "found FORM"}))
	case "busy":
		return nil, fmt.Errorf("%w: the job is being replaced", ErrJobRefused)
	}
	return &Applied{Name: name, How: "continued", Detail: "from its checkpoint"}, nil
}

func (f *fakeJobs) Do(_ context.Context, name string, action JobAction) error {
	if name != "hot" {
		return fmt.Errorf("%w: %s", ErrNoJob, name)
	}
	f.did = append(f.did, string(action))
	return nil
}

func (f *fakeJobs) Replay(_ context.Context, r Replay, give func(ReplayRow) error) (*ReplayEnd, error) {
	f.replay = r
	if r.Query == "SELEC" {
		return nil, &saql.Error{At: saql.Pos{Line: 1, Column: 1}, Msg: "found SELEC"}
	}
	for i := range 3 {
		if err := give(ReplayRow{Into: "out", Time: time.Unix(int64(i), 0).UTC(), Row: json.RawMessage(`{"a":"<"}`)}); err != nil {
			return nil, err
		}
	}
	if f.broken != nil {
		return nil, f.broken
	}
	return &ReplayEnd{Events: 3, Rows: 3}, nil
}

func send(h http.Handler, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestJobs(t *testing.T) {
	f := &fakeJobs{}
	h := handler(t, fill(t, "d", 1, time.Second), Options{Jobs: f})
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/jobs", "", 200, `"jobs":[{"name":"hot","state":"running"`},
		{"GET", "/jobs/hot", "", 200, `"query":"SELECT *"`},
		{"GET", "/jobs/cold", "", 404, `there is no such job: cold`},
		{"PUT", "/jobs/hot", `{"query":"SELECT *","settings":{"late":"1m"}}`, 200, `"how":"continued"`},
		{"PUT", "/jobs/hot", `{"query":"SELEC"}`, 422, `"detail":"line 3, column 7: found SELEC: did you mean SELECT?"`},
		{"PUT", "/jobs/hot", `{"query":"SELEC"}`, 422, `"line":3,"column":7,"mistakes":[{"line":3,"column":7,"message":"found SELEC","hint":"did you mean SELECT?"},{"line":4`},
		{"PUT", "/jobs/hot", `{"query":"busy"}`, 409, `refused: the job is being replaced`},
		{"PUT", "/jobs/hot", `{"query":"SELECT *","settings":{"policy":"adapt"}}`, 422, `body.settings.policy: expected value to be one of`},
		{"PUT", "/jobs/hot", `{"qery":"SELECT *"}`, 422, `qery`},
		{"PUT", "/jobs/-a%20b", `{"query":"SELECT *"}`, 422, `path.name`},
		{"POST", "/jobs/hot/start", "", 200, `"state":"stopped"`},
		{"POST", "/jobs/hot/stop", "", 200, `"name":"hot"`},
		{"DELETE", "/jobs/hot", "", 204, ``},
		{"POST", "/jobs/cold/stop", "", 404, `there is no such job: cold`},
		{"DELETE", "/jobs/cold", "", 404, `there is no such job: cold`},
		{"PATCH", "/jobs/hot", "", 405, `/jobs/hot takes GET, HEAD, PUT, DELETE`},
	} {
		w := send(h, c.method, c.path, c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
	if got := strings.Join(f.did, " "); got != "start stop remove" {
		t.Errorf("it did %s", got)
	}
}

// TestNoJobs: a node without the role stream says so.
func TestNoJobs(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{})
	if w := send(h, "GET", "/jobs", ""); w.Code != 200 || w.Body.String() != `{"jobs":[]}`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := send(h, "PUT", "/jobs/a", `{"query":"SELECT"}`); w.Code != 503 || !strings.Contains(w.Body.String(), "role stream") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestJobsAreGuarded: a change comes from this server's own pages or from a
// program, and with the token where there is one.
func TestJobsAreGuarded(t *testing.T) {
	f := &fakeJobs{}
	from := func(origin string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Origin", origin); r.Header.Set("Sec-Fetch-Site", "cross-site") }
	}
	open := handler(t, fill(t, "d", 1, time.Second), Options{Jobs: f})
	closed := handler(t, fill(t, "d", 1, time.Second), Options{Jobs: f, Token: secret})
	for _, c := range []struct{ method, path string }{
		{"PUT", "/jobs/hot"}, {"POST", "/jobs/hot/stop"}, {"POST", "/jobs/replay"}, {"DELETE", "/jobs/hot"},
	} {
		if w := send(open, c.method, c.path, "{}", from("https://evil.example")); w.Code != 403 {
			t.Errorf("%s %s of a page elsewhere: %d", c.method, c.path, w.Code)
		}
		if w := send(open, c.method, c.path, "{}", func(r *http.Request) { r.Host = "evil.example" }); w.Code != 403 {
			t.Errorf("%s %s under another name: %d", c.method, c.path, w.Code)
		}
		if w := send(closed, c.method, c.path, "{}"); w.Code != 401 {
			t.Errorf("%s %s without the token: %d", c.method, c.path, w.Code)
		}
	}
	if len(f.did) > 0 {
		t.Errorf("it did %v", f.did)
	}
}

func TestReplay(t *testing.T) {
	f := &fakeJobs{}
	h := handler(t, fill(t, "d", 1, time.Second), Options{Jobs: f})
	const ask = `{"query":"SELECT *","from":"2026-01-01T00:00:00Z"}`
	const rows = `{"into":"out","time":"1970-01-01T00:00:00Z","row":{"a":"<"}}
{"into":"out","time":"1970-01-01T00:00:01Z","row":{"a":"<"}}
{"into":"out","time":"1970-01-01T00:00:02Z","row":{"a":"<"}}
`
	w := send(h, "POST", "/jobs/replay", ask)
	const end = `{"end":{"watermark":null,"events":3,"rows":3,"late":0,"dropped":0,"deadLetters":0}}` + "\n"
	if w.Code != 200 || w.Body.String() != rows+end {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !f.replay.From.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("from %v", f.replay.From)
	}
	if w := send(h, "POST", "/jobs/replay", `{"query":"SELEC","from":"2026-01-01T00:00:00Z"}`); w.Code != 422 || !strings.Contains(w.Body.String(), `"line":1,"column":1`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// What fails behind the first rows is the last line, without its cause.
	f.broken = errors.New("the secret disk is full")
	if got := send(h, "POST", "/jobs/replay", ask).Body.String(); got != rows+`{"error":"the replay failed: the node's log says why"}`+"\n" {
		t.Errorf("%s", got)
	}
}
