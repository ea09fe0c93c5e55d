package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/store"
	storemem "github.com/weir-iot/weir/store/mem"
)

// start is the clock of most tests: a whole second would hide rounding.
var start = time.Date(2026, 1, 31, 12, 0, 0, 500e6, time.UTC)

func clock() time.Time { return start }

// handler returns an API over st; what o leaves empty does nothing.
func handler(t testing.TB, st store.Store, o Options) http.Handler {
	t.Helper()
	o.Store, o.Now = st, clock
	if o.Log == nil {
		o.Log = noLog{}
	}
	if o.Hub == nil {
		o.Hub = anyHub
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// anyHub stands where a test needs none.
var anyHub = new(hub.Hub)

// noLog is a log of four partitions in which nothing ever comes.
type noLog struct{}

func (noLog) Partitions(context.Context) (int, error) { return 4, nil }

func (noLog) Read(ctx context.Context, _, _ eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		<-ctx.Done()
		yield(eventlog.Batch{}, ctx.Err())
	}
}

// get sends a GET as a client on this machine does.
func get(h http.Handler, target string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host, r.RemoteAddr = "localhost:8080", "127.0.0.1:5000"
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func fill(t testing.TB, device string, n int, every time.Duration) store.Store {
	t.Helper()
	st := storemem.New(clock)
	put(t, st, device, n, every)
	return st
}

// put writes n documents of a device, the newest at start.
func put(t testing.TB, st store.Store, device string, n int, every time.Duration) {
	t.Helper()
	docs := make([]store.Document, n)
	for i := range docs {
		docs[i] = store.Document{ID: fmt.Sprintf("%06d", i), DeviceID: device, Time: start.Add(-time.Duration(i) * every),
			Data: fmt.Appendf(nil, `{"temperature":%d.5,"n":%d}`, i%40, i)}
	}
	if err := st.Upsert(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// TestArticle holds the answers to what the article's FastAPI program answers, byte for byte but for the white space.
func TestArticle(t *testing.T) {
	st := storemem.New(clock)
	upsert := func(id string, age time.Duration, data string) {
		t.Helper()
		if err := st.Upsert(t.Context(), []store.Document{{ID: id, DeviceID: "d1", Time: start.Add(-age), Data: []byte(data)}}); err != nil {
			t.Fatal(err)
		}
	}
	upsert("a", 0, `{"temperature":21.50,"big":12345678901234567890}`)
	upsert("b", time.Hour, `"text"`)
	upsert("c", 24*time.Hour-501*time.Millisecond, `[1]`)
	upsert("d", 24*time.Hour-499*time.Millisecond, `null`) // its _ts is now − hours·3600: not greater
	upsert("e", 25*time.Hour, `5`)
	h := handler(t, st, Options{})

	const first = `{"data":{"temperature":21.50,"big":12345678901234567890},"timestamp":1769860800}`
	for _, c := range []struct{ target, want string }{
		{"/devices/d1/telemetry", `{"deviceId":"d1","telemetry":[` + first + `,{"data":"text","timestamp":1769857200},{"data":[1],"timestamp":1769774401}]}`},
		{"/devices/d1/telemetry?hours=1", `{"deviceId":"d1","telemetry":[` + first + `]}`},
		{"/devices/d1/telemetry?from=1769857200&to=2026-01-31T12:00:00Z", `{"deviceId":"d1","telemetry":[{"data":"text","timestamp":1769857200}]}`},
		{"/devices/d1/telemetry?to=2026-01-31T11:00:00Z&hours=24", `{"deviceId":"d1","telemetry":[{"data":[1],"timestamp":1769774401},{"data":null,"timestamp":1769774400},{"data":5,"timestamp":1769770800}]}`},
	} {
		w := get(h, c.target)
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != c.want {
			t.Errorf("%s: %d\n got %s\nwant %s", c.target, w.Code, got, c.want)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s: content type %q", c.target, ct)
		}
		if link := w.Header().Get("Link"); link != "" {
			t.Errorf("%s: a Link header that nobody asked for: %s", c.target, link)
		}
	}
	for _, target := range []string{"/devices/nobody/telemetry", "/devices/d1/telemetry?from=2030-01-01T00:00:00Z"} {
		w := get(h, target)
		var body struct{ Detail string }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 404 || body.Detail != "Device not found" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestPagesFitTogether(t *testing.T) {
	h := handler(t, fill(t, "a/b c", 25, time.Minute), Options{})
	target := "/devices/" + url.PathEscape("a/b c") + "/telemetry?hours=24&limit=10"
	var sizes, seen []int
	for target != "" {
		w := get(h, target)
		var body struct {
			Telemetry []struct{ Data struct{ N int } }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s", target, w.Code, w.Body)
		}
		sizes = append(sizes, len(body.Telemetry))
		for _, row := range body.Telemetry {
			seen = append(seen, row.Data.N)
		}
		target = next(t, w.Header().Get("Link"))
	}
	want := make([]int, 25)
	for i := range want {
		want[i] = i
	}
	if diff := cmp.Diff(want, seen); diff != "" || !cmp.Equal(sizes, []int{10, 10, 5}) {
		t.Errorf("pages of %v rows; (-want +got)\n%s", sizes, diff)
	}
}

// TestNothingBehindTheLastPage: a cursor whose documents are gone meanwhile is
// an empty page, not a device that does not exist.
func TestNothingBehindTheLastPage(t *testing.T) {
	h := handler(t, fill(t, "d", 3, time.Minute), Options{})
	oldest := cursor{Time: start.Add(-2 * time.Minute), ID: "000002"}
	w := get(h, "/devices/d/telemetry?limit=10&cursor="+oldest.String())
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != `{"deviceId":"d","telemetry":[]}` {
		t.Errorf("%d %s", w.Code, got)
	}
}

// TestCausesStayInside: what huma itself makes of an unforeseen error does not
// show it either.
func TestCausesStayInside(t *testing.T) {
	v, err := explain(nil, "500", huma.Error500InternalServerError("unexpected error occurred", io.ErrUnexpectedEOF))
	text, merr := json.Marshal(v)
	if err != nil || merr != nil || strings.Contains(string(text), "EOF") {
		t.Errorf("%s, %v, %v", text, err, merr)
	}
}

// next is the address in a Link header, "" without one.
func next(t *testing.T, link string) string {
	t.Helper()
	if link == "" {
		return ""
	}
	target, ok := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	if !ok {
		t.Fatalf("Link: %s", link)
	}
	return target
}

func TestPageIsBoundedInBytes(t *testing.T) {
	st := storemem.New(clock)
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	for i := range 12 {
		if err := st.Upsert(t.Context(), []store.Document{{ID: fmt.Sprint(i), DeviceID: "d", Time: start, Data: []byte(big)}}); err != nil {
			t.Fatal(err)
		}
	}
	w := get(handler(t, st, Options{}), "/devices/d/telemetry?limit=12")
	if n := w.Body.Len(); n > MaxPageBytes+2<<10 || next(t, w.Header().Get("Link")) == "" {
		t.Errorf("a page of %d bytes, Link %q; want at most %d and a next page", n, w.Header().Get("Link"), MaxPageBytes)
	}
}

// failing is a store that breaks after some documents.
type failing struct {
	store.Store
	after int
}

func (f failing) Read(context.Context, store.Range) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		for range f.after {
			if !yield(store.Document{ID: "x", Time: start, Data: []byte(`{"secret":1}`)}, nil) {
				return
			}
		}
		yield(store.Document{}, io.ErrUnexpectedEOF)
	}
}

// TestBrokenStore: an error before the first byte is a 500 that does not tell
// its cause; one after it cuts the connection, so that no client takes a part
// for the whole.
func TestBrokenStore(t *testing.T) {
	w := get(handler(t, failing{}, Options{}), "/devices/d/telemetry")
	if w.Code != 500 || strings.Contains(w.Body.String(), "EOF") || !strings.Contains(w.Body.String(), `"detail"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	srv := httptest.NewServer(handler(t, failing{after: 50_000}, Options{}))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/devices/d/telemetry")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("a part of the rows looks like all of them")
	}
}

// TestBadRequests: whatever a client sends is its own mistake, and detail says which.
func TestBadRequests(t *testing.T) {
	h := handler(t, fill(t, "d", 3, time.Second), Options{})
	long := strings.Repeat("9", 400)
	for _, c := range []struct {
		target, where string
		status        int
	}{
		{"/devices/d/telemetry?hours=abc", "query.hours", 422},
		{"/devices/d/telemetry?hours=0", "query.hours", 422},
		{"/devices/d/telemetry?hours=-3", "query.hours", 422},
		{"/devices/d/telemetry?hours=1.5", "query.hours", 422},
		{"/devices/d/telemetry?hours=" + long, "query.hours", 422},
		{"/devices/d/telemetry?hours=%00", "query.hours", 422},
		{"/devices/d/telemetry?limit=0", "query.limit", 422},
		{"/devices/d/telemetry?limit=10001", "query.limit", 422},
		{"/devices/d/telemetry?from=yesterday", "query.from", 422},
		{"/devices/d/telemetry?from=NaN", "query.from", 422},
		{"/devices/d/telemetry?from=-Inf", "query.from", 422},
		{"/devices/d/telemetry?from=1769860800000", "query.from", 422},
		{"/devices/d/telemetry?from=9999-12-31T00:00:00Z", "query.from", 422},
		{"/devices/d/telemetry?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "query.to", 422},
		{"/devices/d/telemetry?cursor=!!", "query.cursor", 422},
		{"/devices/d/telemetry?cursor=" + long, "query.cursor", 422},
		{"/devices/" + strings.Repeat("x", 1024) + "/telemetry", "path.id", 422},
		{"/devices?limit=x", "query.limit", 422},
		{"/devices?q='%20OR%201=1", "query.q", 422},
		{"/devices?cursor=***", "query.cursor", 422},
		{"/live?partition=4", "query.partition", 422},
		{"/live?partition=-1", "query.partition", 422},
		{"/live?partition=x", "query.partition", 422},
		{"/live?every=1", "query.every", 422},
		{"/live?after=x", "query.after", 422},
		{"/live?after=1-9@", "query.after", 422},
		{"/live?after=1--9", "query.after", 422},
		{"/nothing", "no such path", 404},
		{"/devices/d/nothing", "no such path", 404},
		{"/signout", "takes POST", 405},
	} {
		w := get(h, c.target)
		var p struct{ Detail string }
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || !strings.Contains(p.Detail, c.where) {
			t.Errorf("%.80s: %d %.200s; want %d and a detail with %q", c.target, w.Code, w.Body, c.status, c.where)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%.80s: content type %q", c.target, ct)
		}
	}
}

func TestUnsafeMethodsAreNotTaken(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{})
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
		w := get(h, "/devices/d/telemetry", func(r *http.Request) { r.Method = method })
		if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func FuzzMoment(f *testing.F) {
	f.Add("2026-01-31T12:00:00Z")
	f.Add("1769860800.25")
	f.Fuzz(func(t *testing.T, text string) {
		var m moment
		if m.UnmarshalText([]byte(text)) == nil && (m.Year() < 1969 || m.Year() > 2243) {
			t.Errorf("%q is %v", text, m)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add(cursor{Time: start, ID: "0-17"}.String())
	f.Fuzz(func(t *testing.T, text string) {
		var c, again cursor
		if c.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(c.String())); err != nil || !again.Time.Equal(c.Time) || again.ID != c.ID {
			t.Errorf("%q: %v, then %v (%v)", text, c, again, err)
		}
	})
}
