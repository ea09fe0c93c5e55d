// Package storetest is the contract of store.Store as tests: every engine runs
// it. It leaves out what only engines on a disk promise: what a crash leaves.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/store"
)

// Open returns an empty store that takes the time from now.
type Open func(t *testing.T, now func() time.Time) store.Store

// Start is the time at which every test of the suite begins.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)

// A Clock stands still until a test moves it.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// NewClock returns a clock that stands at Start.
func NewClock() *Clock { return &Clock{t: Start} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Doc is a document that expires after a week.
func Doc(device, id string, at time.Time, data string) store.Document {
	return store.Document{ID: id, DeviceID: device, Time: at, Expires: at.Add(7 * 24 * time.Hour), Data: []byte(data)}
}

// Collect reads all documents of r.
func Collect(t testing.TB, s store.Store, r store.Range) (docs []store.Document) {
	t.Helper()
	for d, err := range s.Read(t.Context(), r) {
		if err != nil {
			t.Fatalf("read %+v: %v", r, err)
		}
		d.Data = bytes.Clone(d.Data)
		docs = append(docs, d)
	}
	return docs
}

// IDs returns the IDs of what r reads, separated by spaces.
func IDs(t testing.TB, s store.Store, r store.Range) string {
	t.Helper()
	var ids []string
	for _, d := range Collect(t, s, r) {
		ids = append(ids, d.ID)
	}
	return strings.Join(ids, " ")
}

func upsert(t testing.TB, s store.Store, docs ...store.Document) {
	t.Helper()
	if err := s.Upsert(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, s store.Store, c *Clock)
	}{
		{"RoundTrip", testRoundTrip},
		{"NewestFirst", testNewestFirst},
		{"Ranges", testRanges},
		{"Pages", testPages},
		{"Replace", testReplace},
		{"Generated", testGenerated},
		{"Devices", testDevices},
		{"Expiry", testExpiry},
		{"Marks", testMarks},
		{"Invalid", testInvalid},
		{"Large", testLarge},
		{"StopEarly", testStopEarly},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
		{"Closed", testClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewClock()
			s := open(t, c.Now)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			tt.test(t, s, c)
		})
	}
}

func testRoundTrip(t *testing.T, s store.Store, _ *Clock) {
	data := []byte(`{"deviceId":"d","b":1.50, "a":"\u00e9é"}`)
	week := store.Document{ID: "id-1", DeviceID: "d", Time: Start, Expires: Start.Add(time.Hour + time.Nanosecond), Data: data}
	never := store.Document{ID: "id/2?é", DeviceID: "d", Time: Start.Add(1), Data: []byte(`null`), Generated: true}
	old := store.Document{ID: "3", DeviceID: "d", Time: time.Unix(-1, 5).UTC(), Data: []byte(`0`)}
	want := []store.Document{never, week, old}
	want[1].Data = bytes.Clone(data)
	upsert(t, s, week, never, old)
	for i := range data {
		data[i] = 'x' // the caller may use its buffer again
	}
	if diff := cmp.Diff(want, Collect(t, s, store.Range{DeviceID: "d"})); diff != "" {
		t.Error(diff)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, Collect(t, s, store.Range{DeviceID: "d"})); diff != "" {
		t.Error("after a flush: ", diff)
	}
}

func testNewestFirst(t *testing.T, s store.Store, _ *Clock) {
	for _, i := range []int{3, 1, 4, 0, 2} {
		upsert(t, s, Doc("d", fmt.Sprint("t", i), Start.Add(time.Duration(i)), "1"))
	}
	tie := Start.Add(time.Minute)
	upsert(t, s, Doc("d", "a", tie, "1"), Doc("d", "b", tie, "1"), Doc("d", "ab", tie, "1"), Doc("d", "a\x01", tie, "1"), Doc("d", "é", tie, "1"))
	if got, want := IDs(t, s, store.Range{DeviceID: "d"}), "é b ab a\x01 a t4 t3 t2 t1 t0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func testRanges(t *testing.T, s store.Store, _ *Clock) {
	at := func(i int) time.Time { return Start.Add(time.Duration(i) * 10 * time.Hour) }
	for i := range 5 {
		upsert(t, s, Doc("d", fmt.Sprint(i), at(i), "1"))
	}
	tests := []struct {
		name string
		r    store.Range
		want string
	}{
		{"from is inclusive", store.Range{From: at(3)}, "4 3"},
		{"to is exclusive", store.Range{To: at(3)}, "2 1 0"},
		{"from and to", store.Range{From: at(1), To: at(3)}, "2 1"},
		{"a nanosecond", store.Range{From: at(2), To: at(2).Add(1)}, "2"},
		{"nothing", store.Range{From: at(2), To: at(2)}, ""},
		{"from after to", store.Range{From: at(3), To: at(1)}, ""},
		{"limit", store.Range{Limit: 2}, "4 3"},
		{"limit over all", store.Range{Limit: 50}, "4 3 2 1 0"},
		{"limit in a range", store.Range{To: at(4), Limit: 1}, "3"},
		{"before", store.Range{Before: store.Cursor{Time: at(2), ID: "2"}}, "1 0"},
		{"before, larger ID", store.Range{Before: store.Cursor{Time: at(2), ID: "3"}}, "2 1 0"},
		{"before with only a time", store.Range{Before: store.Cursor{Time: at(2)}}, "1 0"},
		{"before what is gone", store.Range{Before: store.Cursor{Time: at(2).Add(1), ID: "x"}}, "2 1 0"},
		{"before and to", store.Range{To: at(1), Before: store.Cursor{Time: at(3), ID: "3"}}, "0"},
		{"before and from", store.Range{From: at(2), Before: store.Cursor{Time: at(4), ID: "4"}}, "3 2"},
		{"far ends", store.Range{From: time.Unix(0, 0).AddDate(-400, 0, 0), To: Start.AddDate(400, 0, 0)}, "4 3 2 1 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.DeviceID = "d"
			if got := IDs(t, s, tt.r); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func testPages(t *testing.T, s store.Store, _ *Clock) {
	var docs []store.Document
	for i := range 95 {
		docs = append(docs, Doc("d", fmt.Sprintf("%02d", i), Start.Add(time.Duration(i/3)*5*time.Hour), "1"))
	}
	upsert(t, s, docs...)
	all := IDs(t, s, store.Range{DeviceID: "d"})
	var paged []string
	r := store.Range{DeviceID: "d", Limit: 7}
	for {
		page := Collect(t, s, r)
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			paged = append(paged, d.ID)
		}
		r.Before = page[len(page)-1].Cursor()
	}
	if got := strings.Join(paged, " "); got != all {
		t.Errorf("pages give %q, one read %q", got, all)
	}
}

func testReplace(t *testing.T, s store.Store, _ *Clock) {
	upsert(t, s, Doc("d", "id", Start, `"old"`), Doc("e", "id", Start, `"other device"`))
	for i, at := range []time.Duration{0, time.Hour, -time.Hour, 40 * 24 * time.Hour, time.Minute} {
		data := fmt.Sprint(i)
		upsert(t, s, Doc("d", "id", Start.Add(at), data))
		got := Collect(t, s, store.Range{DeviceID: "d"})
		if diff := cmp.Diff([]store.Document{Doc("d", "id", Start.Add(at), data)}, got); diff != "" {
			t.Fatalf("moved by %v: %s", at, diff)
		}
	}
	upsert(t, s, Doc("d", "x", Start, "1"), Doc("d", "y", Start.Add(2), "1"), Doc("d", "x", Start.Add(1), "2"))
	if got, want := IDs(t, s, store.Range{DeviceID: "d", To: Start.Add(time.Second)}), "y x"; got != want {
		t.Errorf("twice in one batch: got %q, want %q", got, want)
	}
	if got := IDs(t, s, store.Range{DeviceID: "e"}); got != "id" {
		t.Errorf("the other device has %q", got)
	}
}

func testGenerated(t *testing.T, s store.Store, _ *Clock) {
	d := Doc("d", "~1", Start, "1")
	d.Generated = true
	upsert(t, s, d)
	d.Data = []byte("2")
	upsert(t, s, d)
	if diff := cmp.Diff([]store.Document{d}, Collect(t, s, store.Range{DeviceID: "d"})); diff != "" {
		t.Error(diff)
	}
}

func testDevices(t *testing.T, s store.Store, _ *Clock) {
	ids := []string{"a", "aa", "a b", "A", "a\x01", "$a", "gerät", "a/b", strings.Repeat("l", store.MaxID)}
	for _, id := range ids {
		upsert(t, s, Doc(id, "1", Start, "1"), Doc(id, "2", Start.Add(time.Hour), "1"))
	}
	for _, id := range ids {
		if got := Collect(t, s, store.Range{DeviceID: id}); len(got) != 2 || got[0].DeviceID != id || got[1].DeviceID != id {
			t.Errorf("device %q has %+v", id, got)
		}
	}
	for _, id := range []string{"", "b", "a\x00", "aaa"} {
		if got := IDs(t, s, store.Range{DeviceID: id}); got != "" {
			t.Errorf("device %q has %q", id, got)
		}
	}
}

func testExpiry(t *testing.T, s store.Store, c *Clock) {
	hour := Doc("d", "hour", Start, "1")
	hour.Expires = Start.Add(time.Hour)
	never := Doc("d", "never", Start, "1")
	never.Expires = time.Time{}
	past := Doc("d", "past", Start, "1")
	past.Expires = Start
	upsert(t, s, hour, never, past, Doc("d", "week", Start, "1"))
	expect := func(want string) {
		t.Helper()
		if got := IDs(t, s, store.Range{DeviceID: "d"}); got != want {
			t.Errorf("at %v: got %q, want %q", c.Now(), got, want)
		}
	}
	expect("week never hour")
	if got := IDs(t, s, store.Range{DeviceID: "d", Limit: 3}); got != "week never hour" {
		t.Errorf("expired documents count for the limit: %q", got)
	}
	c.Advance(time.Hour - 1)
	expect("week never hour")
	c.Advance(1)
	expect("week never")
	again := Doc("d", "hour", c.Now(), "2")
	upsert(t, s, again)
	expect("hour week never")
	c.Advance(365 * 24 * time.Hour)
	expect("never")
}

func testMarks(t *testing.T, s store.Store, _ *Clock) {
	expect := func(consumer string, shard int, want int64) {
		t.Helper()
		if got, err := s.Mark(t.Context(), consumer, shard); err != nil || got != want {
			t.Errorf("mark of %s %d is %d, %v; want %d", consumer, shard, got, err, want)
		}
	}
	write := func(docs []store.Document, marks ...store.Mark) {
		t.Helper()
		if err := s.Upsert(t.Context(), docs, marks...); err != nil {
			t.Fatal(err)
		}
	}
	expect("hot", 0, -1)
	write([]store.Document{Doc("d", "1", Start, "1")}, store.Mark{Consumer: "hot", Ordinal: 5}, store.Mark{Consumer: "hot", Shard: 1, Ordinal: 0})
	write(nil, store.Mark{Consumer: "job", Shard: 1, Ordinal: 7})
	expect("hot", 0, 5)
	expect("hot", 1, 0)
	expect("hot", 2, -1)
	expect("job", 1, 7)
	expect("job", 0, -1)
	write(nil, store.Mark{Consumer: "hot", Ordinal: 4})
	expect("hot", 0, 5)
	bad := Doc("d", "", Start, "1")
	if err := s.Upsert(t.Context(), []store.Document{bad}, store.Mark{Consumer: "hot", Ordinal: 9}); err == nil {
		t.Error("an invalid document was taken")
	}
	expect("hot", 0, 5)
}

func testInvalid(t *testing.T, s store.Store, _ *Clock) {
	tests := []struct {
		name string
		edit func(*store.Document)
		want error
	}{
		{"no id", func(d *store.Document) { d.ID = "" }, store.ErrInvalid},
		{"no device", func(d *store.Document) { d.DeviceID = "" }, store.ErrInvalid},
		{"NUL in id", func(d *store.Document) { d.ID = "a\x00" }, store.ErrInvalid},
		{"NUL in device", func(d *store.Document) { d.DeviceID = "\x00" }, store.ErrInvalid},
		{"long id", func(d *store.Document) { d.ID = strings.Repeat("i", store.MaxID+1) }, store.ErrInvalid},
		{"no data", func(d *store.Document) { d.Data = nil }, store.ErrInvalid},
		{"not JSON", func(d *store.Document) { d.Data = []byte("{") }, store.ErrInvalid},
		{"two values", func(d *store.Document) { d.Data = []byte("1 2") }, store.ErrInvalid},
		{"year 3000", func(d *store.Document) { d.Time = d.Time.AddDate(1000, 0, 0) }, store.ErrInvalid},
		{"too large", func(d *store.Document) { d.Data = bytes.Repeat([]byte("1"), store.MaxDocument) }, store.ErrTooLarge},
	}
	for _, tt := range tests {
		d := Doc("d", "bad", Start, "1")
		tt.edit(&d)
		if err := s.Upsert(t.Context(), []store.Document{Doc("d", "good", Start, "1"), d}); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
	if got := IDs(t, s, store.Range{DeviceID: "d"}); got != "" {
		t.Errorf("a refused batch left %q", got)
	}
}

func testLarge(t *testing.T, s store.Store, _ *Clock) {
	d := Doc("device", "large", Start, "1")
	d.Data = bytes.Repeat([]byte("1"), store.MaxDocument-len(d.ID)-len(d.DeviceID))
	upsert(t, s, Doc("device", "small", Start.Add(-1), "1"), d, Doc("device", "small2", Start.Add(1), "1"))
	got := Collect(t, s, store.Range{DeviceID: "device"})
	if len(got) != 3 || !bytes.Equal(got[1].Data, d.Data) {
		t.Errorf("%d documents, the large one not as written", len(got))
	}
}

func testStopEarly(t *testing.T, s store.Store, _ *Clock) {
	upsert(t, s, Doc("d", "1", Start, "1"), Doc("d", "2", Start.Add(1), "1"), Doc("d", "3", Start.Add(2), "1"))
	n := 0
	for range s.Read(t.Context(), store.Range{DeviceID: "d"}) {
		n++
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var err error
	for _, err = range s.Read(ctx, store.Range{DeviceID: "d"}) {
		n++
		cancel()
	}
	if !errors.Is(err, context.Canceled) || n != 3 {
		t.Errorf("a cancelled read ended with %v after %d", err, n)
	}
	if err := s.Upsert(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled upsert ended with %v", err)
	}
}

// testConcurrent has writers that move documents while readers look: a reader
// sees each batch whole, so it never sees an ID twice or not at all.
func testConcurrent(t *testing.T, s store.Store, _ *Clock) {
	const ids, moves = 5, 60
	batch := func(n int) (docs []store.Document) {
		for id := range ids {
			docs = append(docs, Doc("d", fmt.Sprint(id), Start.Add(time.Duration(n*7%moves)*time.Hour), fmt.Sprint(n)))
		}
		return docs
	}
	upsert(t, s, batch(0)...)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		writers.Go(func() {
			for n := range moves {
				if err := s.Upsert(t.Context(), batch(n), store.Mark{Consumer: "c", Ordinal: int64(n)}); err != nil {
					t.Error(err)
				}
			}
		})
		readers.Go(func() {
			for {
				docs := Collect(t, s, store.Range{DeviceID: "d"})
				if len(docs) != ids {
					t.Errorf("read %d documents of %d", len(docs), ids)
				}
				for _, d := range docs {
					if string(d.Data) != string(docs[0].Data) {
						t.Errorf("a batch was seen in part: %s beside %s", d.Data, docs[0].Data)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func testClosed(t *testing.T, s store.Store, _ *Clock) {
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Upsert(t.Context(), []store.Document{Doc("d", "1", Start, "1")}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("upsert: %v", err)
	}
	if _, err := s.Mark(t.Context(), "c", 0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("mark: %v", err)
	}
	if err := s.Flush(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("flush: %v", err)
	}
	for _, err := range s.Read(t.Context(), store.Range{DeviceID: "d"}) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("read: %v", err)
		}
	}
}
