package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/telemetry"
)

// liveLog is a log of two partitions.
type liveLog struct{ *mem.Log }

func newLog(o mem.Options) liveLog {
	o.Partitions = 2
	return liveLog{mem.New(o)}
}

func (l liveLog) add(device, body string, props ...telemetry.Property) {
	msgs := []telemetry.Message{{DeviceID: device, Body: []byte(body), Properties: props}}
	l.Append(msgs, func(err error) {
		if err != nil {
			panic(err) // memory takes everything
		}
	})
}

// broken is a log whose reads end with an error.
type broken struct{ eventlog.Reader }

func (broken) Read(context.Context, eventlog.Positions, eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) { yield(eventlog.Batch{}, io.ErrUnexpectedEOF) }
}

// event is one server-sent event as a browser would dispatch it.
type event struct{ name, id, data string }

// client reads events as the WHATWG standard says.
type client struct {
	lines  *bufio.Scanner
	lastID string
	cancel context.CancelFunc
	served <-chan struct{}
}

// tailing opens a tail within this process: no network, so that synctest sees
// when everybody waits.
func tailing(t *testing.T, h http.Handler, target, lastID string) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequest(http.MethodGet, target, nil).WithContext(ctx)
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	pr, pw := io.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer pw.Close()
		h.ServeHTTP(&pipeWriter{header: http.Header{}, PipeWriter: pw}, r)
	}()
	c := &client{lines: bufio.NewScanner(pr), cancel: cancel, served: served}
	c.lines.Buffer(nil, 1<<20)
	t.Cleanup(func() { cancel(); _ = pr.Close(); <-served })
	c.id(t) // the first id comes before anything is read
	return c
}

type pipeWriter struct {
	*io.PipeWriter
	header http.Header
}

func (w *pipeWriter) Header() http.Header                { return w.header }
func (w *pipeWriter) WriteHeader(int)                    {}
func (w *pipeWriter) FlushError() error                  { return nil }
func (w *pipeWriter) SetWriteDeadline(_ time.Time) error { return nil }

// block reads one block; ok is false at the end of the stream.
func (c *client) block() (e event, ok bool) {
	for c.lines.Scan() {
		line := c.lines.Text()
		if line == "" {
			return e, true
		}
		field, value, _ := strings.Cut(line, ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id, c.lastID = value, value
		case "data":
			e.data += value
		}
	}
	return e, false
}

// next returns the next event with data.
func (c *client) next(t *testing.T) event {
	t.Helper()
	for {
		e, ok := c.block()
		if !ok {
			t.Fatal("the stream ended")
		}
		if e.data != "" {
			return e
		}
	}
}

// id reads up to the next id.
func (c *client) id(t *testing.T) {
	t.Helper()
	for {
		e, ok := c.block()
		if !ok {
			t.Fatal("the stream ended")
		}
		if e.id != "" {
			return
		}
	}
}

func (c *client) bodies(t *testing.T, n int) []string {
	t.Helper()
	var got []string
	for range n {
		var m struct {
			DeviceID string
			Body     json.RawMessage
		}
		if err := json.Unmarshal([]byte(c.next(t).data), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.DeviceID+" "+string(m.Body))
	}
	return got
}

func liveHandler(t *testing.T, l eventlog.Reader, o Options) http.Handler {
	t.Helper()
	o.Store, o.Hub, o.Log = failing{}, anyHub, l
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestLiveFilters(t *testing.T) {
	site := func(v string) telemetry.Property { return telemetry.Property{Key: "site", Value: v} }
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", []string{"a 1", "b 2", "c 3", "a 4"}},
		{"?device=a", []string{"a 1", "a 4"}},
		{"?device=a&device=b", []string{"a 1", "b 2", "a 4"}},
		{"?property.site=north", []string{"a 1", "c 3"}},
		{"?device=a&property.site=north", []string{"a 1"}},
		{fmt.Sprintf("?partition=%d", eventlog.Partition("b", 2)), []string{"b 2"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := newLog(mem.Options{})
			log.add("a", "0") // before the tail: not shown
			tail := tailing(t, liveHandler(t, log, Options{}), "/live"+c.query, "")
			synctest.Wait()
			for _, m := range []struct{ device, body, site string }{{"a", "1", "north"}, {"b", "2", "south"}, {"c", "3", "north"}, {"a", "4", "south"}} {
				log.add(m.device, m.body, site(m.site))
				synctest.Wait()
			}
			if diff := cmp.Diff(c.want, tail.bodies(t, len(c.want))); diff != "" {
				t.Errorf("%q (-want +got)\n%s", c.query, diff)
			}
			tail.cancel()
			if e, ok := tail.block(); ok && e.data != "" {
				t.Errorf("%q: one more: %v", c.query, e)
			}
		})
	}
}

// TestLiveResumes: whatever came while a client was away comes when it is back,
// also of partitions from which it had seen nothing.
func TestLiveResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(mem.Options{})
		h := liveHandler(t, log, Options{})
		a, b := "a", "b" // in different partitions
		if eventlog.Partition(a, 2) == eventlog.Partition(b, 2) {
			t.Fatal("a and b are in one partition")
		}
		first := tailing(t, h, "/live", "")
		synctest.Wait()
		log.add(a, "1")
		first.bodies(t, 1)
		first.id(t)
		first.cancel()
		<-first.served
		time.Sleep(time.Minute)
		log.add(b, "2")
		log.add(a, "3")
		second := tailing(t, h, "/live", first.lastID)
		got := second.bodies(t, 2)
		slices.Sort(got)
		if diff := cmp.Diff([]string{"a 3", "b 2"}, got); diff != "" {
			t.Errorf("id %s (-want +got)\n%s", first.lastID, diff)
		}
	})
}

// TestLiveIdsAreDense: a large batch is cut, so that a reconnecting client sees
// at most idEvery events again.
func TestLiveIdsAreDense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(mem.Options{})
		for i := range 200 {
			log.add("a", fmt.Sprint(i))
		}
		tail := tailing(t, liveHandler(t, log, Options{}), fmt.Sprintf("/live?after=%d-0", eventlog.Partition("a", 2)), "")
		for events, since := 0, 0; events < 199; {
			e, ok := tail.block()
			if !ok {
				t.Fatal("the stream ended")
			}
			if e.id != "" {
				since = 0
			} else if since++; since > idEvery {
				t.Fatalf("%d events without an id", since)
			} else {
				events++
			}
		}
	})
}

// TestLiveReadsWhatItMust: a filter by device leaves other partitions alone.
func TestLiveReadsWhatItMust(t *testing.T) {
	p := eventlog.Partition("a", 32)
	other := (p + 1) % 32
	for _, c := range []struct {
		in   liveInput
		want eventlog.Positions
	}{
		{liveInput{Device: []string{"a"}}, eventlog.Positions{p: eventlog.Latest()}},
		{liveInput{Partition: []int{3}, From: moment{start}}, eventlog.Positions{3: eventlog.At(start)}},
		{liveInput{Device: []string{"a"}, place: place{after: map[int]int64{p: 7, other: 9}, since: 1000}}, eventlog.Positions{p: eventlog.After(7)}},
		{liveInput{Device: []string{"a"}, Partition: []int{p}, place: place{since: 1000}}, eventlog.Positions{p: eventlog.At(time.UnixMilli(1000))}},
		{liveInput{Device: []string{"a"}, Partition: []int{other}}, nil},
	} {
		got, err := c.in.positions(32)
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != (c.want == nil) {
			t.Errorf("%v: %v (-want +got)\n%s", c.in, err, diff)
		}
	}
}

func TestLiveSaysWhatRetentionTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(mem.Options{MaxBytes: 3000})
		for i := range 30 {
			log.add("a", fmt.Sprint(10+i))
		}
		p := eventlog.Partition("a", 2)
		tail := tailing(t, liveHandler(t, log, Options{}), fmt.Sprintf("/live?after=%d-0", p), "")
		e := tail.next(t)
		var g gap
		if err := json.Unmarshal([]byte(e.data), &g); err != nil || e.name != "gap" || g.Partition != p || g.Next < 10 {
			t.Fatalf("%+v", e)
		}
		want := fmt.Sprintf("a %d", 10+g.Next)
		if got := tail.bodies(t, 1); got[0] != want {
			t.Errorf("%s follows the gap, want %s", got[0], want)
		}
	})
}

// replaced is a log that was made anew: places of the old one are ahead of it.
type replaced struct{ liveLog }

func (r replaced) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	for p, pos := range from {
		if pos.Kind == eventlog.KindAfter && pos.Seq >= 1000 {
			return func(yield func(eventlog.Batch, error) bool) {
				yield(eventlog.Batch{}, eventlog.ErrAhead{Partition: p, Next: 1})
			}
		}
	}
	return r.liveLog.Read(ctx, from, until)
}

// TestLiveForgetsAnotherLog: an id of a log that is no more does not keep a client out.
func TestLiveForgetsAnotherLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := replaced{newLog(mem.Options{})}
		log.add("a", "0")
		p := eventlog.Partition("a", 2)
		tail := tailing(t, liveHandler(t, log, Options{}), "/live", fmt.Sprintf("%d-1000@1", p))
		if e := tail.next(t); e.name != "gap" || e.data != fmt.Sprintf(`{"partition":%d,"next":1}`, p) {
			t.Errorf("%+v", e)
		}
		log.add("a", "1")
		if diff := cmp.Diff([]string{"a 1"}, tail.bodies(t, 1)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLiveEndsWithTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, query := range []string{"", "?every=1000"} {
			tail := tailing(t, liveHandler(t, broken{newLog(mem.Options{})}, Options{}), "/live"+query, "")
			e := tail.next(t)
			if e.name != "error" || strings.Contains(e.data, "EOF") {
				t.Errorf("%q: %+v", query, e)
			}
			for ok := true; ok; {
				_, ok = tail.block()
			}
			<-tail.served
		}
	})
}

// TestLiveCondensed: one message per device and interval, and all are counted.
func TestLiveCondensed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog(mem.Options{})
		log.add("a", "0")
		time.Sleep(time.Second)
		tail := tailing(t, liveHandler(t, log, Options{}), "/live?every=1000&from="+fmt.Sprint(time.Now().Unix()-10), "")
		synctest.Wait()
		log.add("a", "1")
		log.add("b", "2")
		log.add("a", "3")
		got := []string{}
		for range 3 {
			e := tail.next(t)
			var m struct {
				DeviceID string
				Body     json.RawMessage
				Count    int
			}
			if err := json.Unmarshal([]byte(e.data), &m); err != nil {
				t.Fatal(err)
			}
			if e.name == "rate" {
				got = append(got, e.data)
			} else {
				got = append(got, fmt.Sprintf("%s %s %d", m.DeviceID, m.Body, m.Count))
			}
		}
		want := []string{"a 3 3", "b 2 1", `{"millis":1000,"messages":3,"bytes":3,"devices":2,"hidden":0}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if e := tail.next(t); e.data != `{"millis":1000,"messages":0,"bytes":0,"devices":0,"hidden":0}` {
			t.Errorf("a quiet second: %+v", e)
		}
	})
}

// TestLiveCondensedIsBounded: more devices than are shown are counted.
func TestLiveCondensedIsBounded(t *testing.T) {
	n := news{newest: map[string]*newest{}}
	var msgs []telemetry.Message
	for i := range maxNews + 100 {
		msgs = append(msgs, telemetry.Message{DeviceID: fmt.Sprint(i), EnqueuedAt: start})
	}
	n.add(msgs, func(*telemetry.Message) bool { return true })
	if len(n.newest) != maxNews || n.Hidden != 100 || n.Messages != maxNews+100 {
		t.Errorf("%d shown, %+v", len(n.newest), n.rate)
	}
}

func TestLiveTailsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := liveHandler(t, newLog(mem.Options{}), Options{MaxTails: 2})
		first := tailing(t, h, "/live", "")
		tailing(t, h, "/live", "")
		if w := get(h, "/live"); w.Code != 429 || !strings.Contains(w.Body.String(), "2 live tails") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		first.cancel()
		<-first.served
		tailing(t, h, "/live", "")
	})
}

func TestLiveHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tail := tailing(t, liveHandler(t, newLog(mem.Options{}), Options{}), "/live", "")
		began := time.Now()
		if _, ok := tail.block(); !ok || time.Since(began) != heartbeat {
			t.Errorf("after %v, open: %v", time.Since(began), ok)
		}
	})
}

// TestSlowClientIsCut: a client that does not read loses its connection, and
// its tail stops reading the log meanwhile.
func TestSlowClientIsCut(t *testing.T) {
	log := newLog(mem.Options{})
	for range 2000 {
		log.add("a", `"`+strings.Repeat("x", 20_000)+`"`)
	}
	s, err := newServer(Options{Store: failing{}, Hub: anyHub, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe() // holds nothing: a write waits for a read
	defer far.Close()
	tl := &tail{server: s, filter: func(*telemetry.Message) bool { return true }, from: eventlog.AllFrom(2, eventlog.Oldest()),
		events: events{place: place{after: map[int]int64{}}}}
	w := &connWriter{Conn: near, header: http.Header{}}
	tl.w, tl.ctl = w, http.NewResponseController(w)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tl.run(t.Context())
	}()
	if _, err := io.ReadFull(far, make([]byte, 300_000)); err != nil {
		t.Fatal(err)
	}
	w.expire() // stands for the deadline
	<-ended
	var cut dto.Metric
	if err := s.metrics.slow.Write(&cut); err != nil || cut.Counter.GetValue() != 1 {
		t.Errorf("%v slow tails were counted (%v)", cut.Counter.GetValue(), err)
	}
	if read := tl.from[eventlog.Partition("a", 2)].Seq; read > 1500 {
		t.Errorf("the tail read up to record %d of 2000 while its client read none", read)
	}
}

// connWriter writes to a connection whose deadline the test brings about.
type connWriter struct {
	net.Conn
	header http.Header
	mu     sync.Mutex
	late   bool
}

func (w *connWriter) Header() http.Header { return w.header }
func (w *connWriter) WriteHeader(int)     {}
func (w *connWriter) FlushError() error   { return nil }
func (w *connWriter) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.late {
		t = time.Unix(1, 0)
	}
	return w.Conn.SetWriteDeadline(t)
}

func (w *connWriter) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = true
	_ = w.Conn.SetWriteDeadline(time.Unix(1, 0))
}

func TestMessageJSON(t *testing.T) {
	var e events
	e.place.after = map[int]int64{2: 7, 0: 1}
	e.place.since = 5
	for _, body := range []string{"{\n \"a\": 1.50 }", "plain\r\ndata: x", "\xff\x00", ""} {
		e.message(&telemetry.Message{DeviceID: "d<1>", MessageID: "m", Partition: 2, Seq: 7, EnqueuedAt: start, Body: []byte(body),
			Properties: telemetry.Properties{{Key: "p", Value: "v"}, {Key: "p", Value: "w"}, {Key: "n", Null: true}}}, 0)
	}
	const head = "event: message\ndata: {\"deviceId\":\"d\\u003c1\\u003e\",\"messageId\":\"m\",\"source\":\"Telemetry\",\"partition\":2,\"seq\":7," +
		"\"enqueuedAt\":\"2026-01-31T12:00:00.500Z\",\"properties\":{\"p\":\"v\",\"n\":null}"
	want := head + ",\"body\":{\"a\":1.50}}\n\n" + head + ",\"text\":\"plain\\r\\ndata: x\"}\n\n" + head + ",\"base64\":\"/wA=\"}\n\n" + head + "}\n\n" +
		"id: 0-1.2-7@5\n\n"
	if diff := cmp.Diff(want, string(e.take())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"0-17", "0-17.3-20@1767225600000", "@5", "1-0@", "-1", "1--1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text)
		if err != nil {
			return
		}
		again, err := parsePlace(string(p.append(nil)))
		if err != nil || !cmp.Equal(p.after, again.after) || p.since != again.since {
			t.Errorf("%q: %v, then %v (%v)", text, p, again, err)
		}
	})
}

// FuzzEvents: whatever a device sends stays within its own event.
func FuzzEvents(f *testing.F) {
	f.Add("d", "{\"a\":\n1}", "k", "v")
	f.Add("d\n\ndata: x", "a\r\n\r\nid: 1", "\n", "\r")
	f.Fuzz(func(t *testing.T, device, body, key, value string) {
		var e events
		e.place.after = map[int]int64{}
		e.message(&telemetry.Message{DeviceID: device, Body: []byte(body), Properties: telemetry.Properties{{Key: key, Value: value}}}, 0)
		data, ok := strings.CutPrefix(e.buf.String(), "event: message\ndata: ")
		data, end := strings.CutSuffix(data, "\n\n")
		if !ok || !end || strings.ContainsAny(data, "\r\n") || !json.Valid([]byte(data)) {
			t.Errorf("%q", e.buf.String())
		}
	})
}
