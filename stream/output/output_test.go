package output

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/store"
	storemem "github.com/weir-iot/weir/store/mem"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/telemetry"
)

var (
	base  = saql.TicksOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	shard = stream.Shard{Job: "j", Output: "Out", Generation: "0-x", Shard: 2}
)

// forever is a time to live that no test outlives.
const forever = 200 * 365 * 24 * time.Hour

// rowsFrom makes rows of the ordinals from o on.
func rowsFrom(o stream.Ordinal, data ...string) (rows []stream.OutputRow) {
	for i, d := range data {
		n := o + stream.Ordinal(i)
		rows = append(rows, stream.OutputRow{Ordinal: n, Time: base + saql.Ticks(n)*10_000_000, Data: []byte(d)})
	}
	return rows
}

func write(t *testing.T, o stream.Output, rows []stream.OutputRow) {
	t.Helper()
	if err := o.Write(t.Context(), shard, rows); err != nil {
		t.Fatal(err)
	}
}

func wantMark(t *testing.T, o stream.Output, s stream.Shard, want stream.Ordinal) {
	t.Helper()
	if got, err := o.Mark(t.Context(), s); err != nil || got != want {
		t.Errorf("the mark is %d, %v; want %d", got, err, want)
	}
}

// TestMarks writes to each output: marks begin at None, follow the rows, are of
// one shard alone, and are there after a flush and a restart.
func TestMarks(t *testing.T) {
	st, bucket := storemem.New(nil), mem.New()
	log := logmem.New(logmem.Options{})
	defer log.Close()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "sub", "out.jsonl")
	for name, open := range map[string]func() (stream.Output, error){
		"store":   func() (stream.Output, error) { return NewStore(st, forever), nil },
		"alerts":  func() (stream.Output, error) { return NewAlerts(storemem.New(nil), forever, nil), nil },
		"dead":    func() (stream.Output, error) { return NewDeadLetters(storemem.New(nil)), nil },
		"log":     func() (stream.Output, error) { return NewLog(log, "", bucket), nil },
		"file":    func() (stream.Output, error) { return OpenFile(path) },
		"command": func() (stream.Output, error) { return NewCommand(&fakeHub{}, "", mem.New()), nil },
		"webhook": func() (stream.Output, error) {
			return NewWebhook(WebhookOptions{URL: server.URL, Private: true}, mem.New())
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := open()
			if err != nil {
				t.Fatal(err)
			}
			wantMark(t, o, shard, stream.None)
			write(t, o, rowsFrom(0, `{"deviceId":"a"}`, `{"deviceId":"b"}`))
			wantMark(t, o, shard, 1)
			write(t, o, rowsFrom(2, `{"deviceId":"a"}`))
			wantMark(t, o, shard, 2)
			for _, other := range []stream.Shard{{Job: "k", Output: "Out", Generation: "0-x", Shard: 2}, {Job: "j", Output: "Out2", Generation: "0-x", Shard: 2}, {Job: "j", Output: "Out", Generation: "1-x", Shard: 2}, {Job: "j", Output: "Out", Generation: "0-x"}} {
				wantMark(t, o, other, stream.None)
			}
			if err := o.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if name == "store" || name == "log" || name == "file" {
				if o, err = open(); err != nil {
					t.Fatal(err)
				}
				wantMark(t, o, shard, 2)
			}
		})
	}
}

func documentsOf(t *testing.T, st store.Store, devices ...string) (all []string) {
	t.Helper()
	for _, device := range devices {
		for d, err := range st.Read(t.Context(), store.Range{DeviceID: device}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %s %s %s", d.DeviceID, d.ID, d.Time.Format(time.TimeOnly), d.Data))
		}
	}
	return all
}

// TestStore keeps rows under the device and the id that they name, if they may.
func TestStore(t *testing.T) {
	st := storemem.New(nil)
	o := NewStore(st, forever)
	write(t, o, rowsFrom(0,
		`{"deviceId":"d1","v":1}`, `{"DEVICEID":"d1","id":"own"}`, `{"deviceid":7,"id":12}`, `{"v":2}`,
		`{"deviceId":"$alerts"}`, `{"deviceId":"","id":""}`, `{"deviceId":null,"id":"~x"}`, `{"deviceId":"d1","id":"own","v":3}`))
	want := []string{
		`d1 own 00:00:07 {"deviceId":"d1","id":"own","v":3}`,
		`d1 ~j:Out:0-x:2:0 00:00:00 {"deviceId":"d1","v":1}`,
		`7 12 00:00:02 {"deviceid":7,"id":12}`,
		`$job-j ~j:Out:0-x:2:6 00:00:06 {"deviceId":null,"id":"~x"}`,
		`$job-j ~j:Out:0-x:2:5 00:00:05 {"deviceId":"","id":""}`,
		`$job-j ~j:Out:0-x:2:4 00:00:04 {"deviceId":"$alerts"}`,
		`$job-j ~j:Out:0-x:2:3 00:00:03 {"v":2}`,
	}
	if diff := cmp.Diff(want, documentsOf(t, st, "d1", "7", "$job-j", "$alerts", "")); diff != "" {
		t.Error(diff)
	}
}

// failingStore refuses or fails, rows and mark together.
type failingStore struct {
	store.Store
	err error
}

func (s *failingStore) Upsert(ctx context.Context, docs []store.Document, marks ...store.Mark) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Upsert(ctx, docs, marks...)
}

func TestStoreFails(t *testing.T) {
	st := &failingStore{Store: storemem.New(nil), err: errors.New("disk on fire")}
	o := NewStore(st, forever)
	if err := o.Write(t.Context(), shard, rowsFrom(0, `{}`)); !errors.Is(err, st.err) || errors.Is(err, stream.ErrRefused) {
		t.Errorf("a store that fails: %v", err)
	}
	st.err = fmt.Errorf("poison: %w", store.ErrTooLarge)
	if err := o.Write(t.Context(), shard, rowsFrom(0, `{}`)); !errors.Is(err, stream.ErrRefused) {
		t.Errorf("a store that refuses: %v", err)
	}
	wantMark(t, o, shard, stream.None)
}

// TestAlerts lists what was written, newest first, and tells of it when it is there.
func TestAlerts(t *testing.T) {
	st := storemem.New(nil)
	var told []Alert
	o := NewAlerts(st, forever, func(a []Alert) { told = append(told, a...) })
	rows := rowsFrom(0, `{"v":1}`, `{"v":2}`, `{"v":3}`)
	write(t, o, rows)
	copy(rows[0].Data, "!!!!") // a row is valid during the call alone
	got, err := Alerts(t.Context(), st, base.Time().Add(time.Second), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []Alert{
		{"j:Out:0-x:2:2", "j", "Out", base.Time().Add(2 * time.Second), json.RawMessage(`{"v":3}`)},
		{"j:Out:0-x:2:1", "j", "Out", base.Time().Add(time.Second), json.RawMessage(`{"v":2}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(told) != 3 || string(told[0].Row) != `{"v":1}` {
		t.Errorf("told of %v", told)
	}
	if got, err := Alerts(t.Context(), st, time.Time{}, 1); err != nil || len(got) != 1 || got[0].ID != want[0].ID {
		t.Errorf("the newest one: %v, %v", got, err)
	}
}

// TestDeadLetters keeps the newest of each shard.
func TestDeadLetters(t *testing.T) {
	st := storemem.New(nil)
	o := NewDeadLetters(st)
	future := base + 100*365*24*3600*10_000_000 // does not expire
	for i := range stream.Ordinal(3 * deadSlots / 2) {
		write(t, o, []stream.OutputRow{{Ordinal: i, Time: future + saql.Ticks(i), Data: fmt.Appendf(nil, `%d`, i)}})
	}
	got := documentsOf(t, st, stream.DeadLetterDevice)
	if len(got) != deadSlots || !strings.HasSuffix(got[0], " 191") || !strings.HasSuffix(got[deadSlots-1], " 64") {
		t.Errorf("%d are kept, from %q to %q", len(got), got[0], got[len(got)-1])
	}
}

func messagesOf(t *testing.T, log eventlog.Reader) (all []string) {
	t.Helper()
	n, _ := log.Partitions(t.Context())
	for b, err := range log.Read(t.Context(), eventlog.AllFrom(n, eventlog.Oldest()), eventlog.AllFrom(n, eventlog.Latest())) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Messages {
			all = append(all, fmt.Sprintf("%s %s %s", m.DeviceID, m.MessageID, m.Body))
		}
	}
	slices.Sort(all)
	return all
}

// TestLog appends rows, and finds after a crash what it appended behind the
// last mark that was saved.
func TestLog(t *testing.T) {
	log, bucket := logmem.New(logmem.Options{}), mem.New()
	defer log.Close()
	o := NewLog(log, "room", bucket)
	write(t, o, rowsFrom(0, `{"room":"r1"}`, `{"room":"r2"}`))
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, o, rowsFrom(2, `{"other":1}`))
	wantMark(t, NewLog(log, "room", bucket), shard, 2)
	want := []string{`$job-j j:Out:0-x:2:2 {"other":1}`, `r1 j:Out:0-x:2:0 {"room":"r1"}`, `r2 j:Out:0-x:2:1 {"room":"r2"}`}
	if diff := cmp.Diff(want, messagesOf(t, log)); diff != "" {
		t.Error(diff)
	}
	if err := o.Write(t.Context(), shard, rowsFrom(3, `{"v":"`+strings.Repeat("x", eventlog.MaxMessage)+`"}`)); !errors.Is(err, stream.ErrRefused) {
		t.Errorf("a row that is too large: %v", err)
	}
	_ = log.Close()
	if err := o.Write(t.Context(), shard, rowsFrom(3, `{}`)); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("a closed log: %v", err)
	}
	if got, _ := o.Mark(t.Context(), shard); got > 2 {
		t.Errorf("the mark is %d", got)
	}
}

// TestFile has each row once whatever was flushed when the process ended.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(path, []byte("theirs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *File {
		t.Helper()
		f, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := open()
	write(t, f, rowsFrom(0, `{"v":1}`, `{"v":2}`))
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, f, rowsFrom(2, `{"v":3}`)) // not flushed: the next process writes it again
	f = open()
	wantMark(t, f, shard, 1)
	if got, _ := os.ReadFile(path); string(got) != "theirs\n{\"v\":1}\n{\"v\":2}\n" {
		t.Errorf("after a crash the file has %q", got)
	}
	write(t, f, rowsFrom(2, `{"v":3}`, `{"v":4}`))
	if got, _ := os.ReadFile(path); string(got) != "theirs\n{\"v\":1}\n{\"v\":2}\n{\"v\":3}\n{\"v\":4}\n" {
		t.Errorf("the file has %q", got)
	}
	_ = f.Close()
	if err := f.Write(t.Context(), shard, rowsFrom(4, `{}`)); err == nil {
		t.Error("a closed file took rows")
	}
	if err := f.Flush(t.Context()); err == nil {
		t.Error("a closed file was synced")
	}
	wantMark(t, open(), shard, 1)
	if err := os.WriteFile(marksPath(path), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(path); err == nil {
		t.Error("broken marks were taken")
	}
}

// fakeHub takes commands, and fails where a test wants it.
type fakeHub struct {
	mu   sync.Mutex
	sent []string
	fail func(device string) error
}

func (h *fakeHub) SendToDevice(_ context.Context, device, id string, body []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		if err := h.fail(device); err != nil {
			return err
		}
	}
	h.sent = append(h.sent, fmt.Sprintf("%s %s %s", device, id, body))
	return nil
}

// TestCommand sends each command once, also when a later one fails.
func TestCommand(t *testing.T) {
	hub, bucket := &fakeHub{}, mem.New()
	away := errors.New("away")
	hub.fail = func(device string) error {
		if device == "b" {
			return away
		}
		return nil
	}
	o := NewCommand(hub, "to", bucket)
	rows := rowsFrom(0, `{"to":"a"}`, `{"to":"b"}`, `{"to":"c"}`)
	for range 2 {
		if err := o.Write(t.Context(), shard, rows); !errors.Is(err, away) {
			t.Errorf("Write: %v", err)
		}
	}
	hub.fail = nil
	o = NewCommand(hub, "to", bucket)
	wantMark(t, o, shard, 0)
	write(t, o, rows)
	if diff := cmp.Diff([]string{`a j:Out:0-x:2:0 {"to":"a"}`, `b j:Out:0-x:2:1 {"to":"b"}`, `c j:Out:0-x:2:2 {"to":"c"}`}, hub.sent); diff != "" {
		t.Error(diff)
	}
	if err := o.Write(t.Context(), shard, rowsFrom(3, `{"deviceId":"a"}`)); !errors.Is(err, stream.ErrRefused) {
		t.Errorf("a row without a device: %v", err)
	}
}

// hook is a server that notes requests and answers as a test wants.
type hook struct {
	mu       sync.Mutex
	requests []string
	answer   func(w http.ResponseWriter, n int) // n counts from 0
	check    func(r *http.Request, body []byte)
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	n := len(h.requests)
	h.requests = append(h.requests, r.Header.Get(FirstRowHeader)+" "+string(body))
	h.mu.Unlock()
	if h.check != nil {
		h.check(r, body)
	}
	if h.answer != nil {
		h.answer(w, n)
	}
}

func webhookTo(t *testing.T, h *hook, o WebhookOptions, b blob.Bucket) *Webhook {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	o.URL, o.Private = server.URL, true
	w, err := NewWebhook(o, b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWebhook posts batches, signed, and goes on behind what was taken.
func TestWebhook(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	h := &hook{}
	h.check = func(r *http.Request, body []byte) {
		want := Sign("secret", now, body)
		if got := r.Header.Get(SignatureHeader); !hmac.Equal([]byte(got), []byte(want)) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("signature %s, want %s; headers %v", got, want, r.Header)
		}
	}
	h.answer = func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
	bucket := mem.New()
	w := webhookTo(t, h, WebhookOptions{Secret: "secret", Batch: 2, Now: func() time.Time { return now }}, bucket)
	rows := rowsFrom(0, `{"v":0}`, `{"v":1}`, `{"v":2}`, `{"v":3}`, `{"v":4}`)
	if err := w.Write(t.Context(), shard, rows); err == nil || errors.Is(err, stream.ErrRefused) || !strings.Contains(err.Error(), "503") {
		t.Errorf("Write: %v", err)
	}
	wantMark(t, w, shard, 1)
	write(t, w, rows)
	want := []string{
		`j:Out:0-x:2:0 [{"v":0},{"v":1}]`, `j:Out:0-x:2:2 [{"v":2},{"v":3}]`,
		`j:Out:0-x:2:2 [{"v":2},{"v":3}]`, `j:Out:0-x:2:4 [{"v":4}]`,
	}
	if diff := cmp.Diff(want, h.requests); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(Sign("secret", now, []byte("x")), "t=1700000000,v1=") || Sign("secret", now, []byte("x")) == Sign("secret", now.Add(time.Second), []byte("x")) {
		t.Error("the signature does not cover the time")
	}
}

// TestWebhookAnswers tells what is refused from what may go better.
func TestWebhookAnswers(t *testing.T) {
	for status, refused := range map[int]bool{301: false, 400: true, 401: false, 404: false, 413: true, 422: true, 429: false, 500: false} {
		h := &hook{answer: func(w http.ResponseWriter, _ int) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			http.Error(w, "says why", status)
		}}
		w := webhookTo(t, h, WebhookOptions{}, mem.New())
		err := w.Write(t.Context(), shard, rowsFrom(0, `{}`))
		if err == nil || errors.Is(err, stream.ErrRefused) != refused || !strings.Contains(err.Error(), "says why") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestWebhookPrivate refuses this machine and private networks by what is
// dialled, not by what the URL says.
func TestWebhookPrivate(t *testing.T) {
	h := &hook{}
	server := httptest.NewServer(h)
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, u := range []string{server.URL, "http://localhost:" + port} {
		w, err := NewWebhook(WebhookOptions{URL: u}, mem.New())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(t.Context(), shard, rowsFrom(0, `{}`)); !errors.Is(err, errPrivate) {
			t.Errorf("%s: %v", u, err)
		}
	}
	if len(h.requests) != 0 {
		t.Errorf("requests came: %q", h.requests)
	}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false,
		"::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
	} {
		if got := public(netip.MustParseAddr(address).Unmap()); got != want {
			t.Errorf("public(%s) = %t", address, got)
		}
	}
	for _, u := range []string{"", "ftp://x", "http://", "://", "x"} {
		if _, err := NewWebhook(WebhookOptions{URL: u}, mem.New()); err == nil {
			t.Errorf("%q was taken as a URL", u)
		}
	}
}

// TestWebhookRests waits as long as the server asks, but not for ever.
func TestWebhookRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Webhook{}
		for after, want := range map[string]time.Duration{"3": 3 * time.Second, "86400": maxRest, "": 0, "-1": 0, "Fri, 31 Dec 1999 23:59:59 GMT": 0} {
			began := time.Now()
			w.rest(t.Context(), after)
			if took := time.Since(began); took != want {
				t.Errorf("Retry-After %q: %v", after, took)
			}
		}
	})
}

// heldBucket holds the first Put until hold is closed.
type heldBucket struct {
	blob.Bucket
	puts atomic.Int32
	hold chan struct{}
}

func (b *heldBucket) Put(ctx context.Context, name string, r io.Reader) error {
	if b.puts.Add(1) == 1 {
		<-b.hold
	}
	return b.Bucket.Put(ctx, name, r)
}

// TestMarksNeverGoBack has two shards save all marks at a time, the first of
// them slowly: the newer mark stays.
func TestMarksNeverGoBack(t *testing.T) {
	bucket := &heldBucket{Bucket: mem.New(), hold: make(chan struct{})}
	m := newMarks(bucket)
	s := stream.Shard{Job: "j", Output: "o", Generation: "1-a"}
	var wg sync.WaitGroup
	for _, o := range []stream.Ordinal{5, 7} {
		m.set(s, mark{Ordinal: o})
		wg.Go(func() {
			if err := m.save(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for bucket.puts.Load() == 0 { // the first is on its way with 5
			runtime.Gosched()
		}
	}
	for range 1000 { // the second goes past it, if it can
		runtime.Gosched()
	}
	close(bucket.hold)
	wg.Wait()
	if at, _, err := newMarks(bucket).load(t.Context(), s); err != nil || at.Ordinal != 7 {
		t.Errorf("%+v, %v", at, err)
	}
}

// TestWebhookHidesURL tells of a server that is not there, but not the keys that
// the URL has.
func TestWebhookHidesURL(t *testing.T) {
	nowhere := httptest.NewServer(nil)
	nowhere.Close()
	w, err := NewWebhook(WebhookOptions{URL: strings.Replace(nowhere.URL, "://", "://user:word@", 1) + "/hook?code=secret", Private: true}, mem.New())
	if err != nil {
		t.Fatal(err)
	}
	err = w.Write(t.Context(), stream.Shard{Job: "j", Output: "o", Generation: "1-a"}, []stream.OutputRow{{Data: []byte("{}")}})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "word") {
		t.Errorf("the error is %v", err)
	}
}

// fullLog is a log that waits for space.
type fullLog struct{ eventlog.Log }

func (fullLog) Append([]telemetry.Message, func(error)) {}

// TestLogStops ends a write to a log that waits when the job stops.
func TestLogStops(t *testing.T) {
	log := logmem.New(logmem.Options{})
	defer log.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := NewLog(fullLog{log}, "", mem.New())
	if err := l.Write(ctx, shard, []stream.OutputRow{{Data: []byte("{}")}}); !errors.Is(err, context.Canceled) {
		t.Errorf("the write ended with %v", err)
	}
}
