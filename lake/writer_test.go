package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/telemetry"
)

func openTable(t testing.TB, b blob.Bucket, opts Options) *Table {
	t.Helper()
	table, err := Open(t.Context(), b, "telemetry", opts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// appendBodies appends one row for each body, all of sender d, in one commit.
func appendBodies(t testing.TB, w *Writer, app string, seq int64, bodies ...string) {
	t.Helper()
	var rows []Row
	for i, body := range bodies {
		rows = append(rows, Row{Sender: "d", Seq: seq + int64(i), EnqueuedAt: noon.Add(time.Duration(seq) * time.Second), Body: []byte(body)})
	}
	if err := w.Append(t.Context(), rows, Txn{app, seq + int64(len(bodies)) - 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// lines returns all rows as text: those columns that have a value.
func lines(t testing.TB, table *Table, q Query) (all []string) {
	t.Helper()
	sc, err := table.Scan(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range sc.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d %s %s", r.Seq, r.DeviceID, r.When().Format("2006-01-02T15:04:05.999999"))
		for i, v := range r.Values {
			if name := sc.Columns[i].Name; !v.IsNull() && (name == Body || name == Rest) {
				line += fmt.Sprintf(" %s=%s", sc.Columns[i].Name, v.Text())
			} else if !v.IsNull() {
				line += fmt.Sprintf(" %s=%s", sc.Columns[i].Name, v.AppendJSON(nil))
			}
		}
		all = append(all, line)
	}
	slices.SortStableFunc(all, func(a, b string) int {
		var x, y int
		_, _ = fmt.Sscan(a, &x)
		_, _ = fmt.Sscan(b, &y)
		return x - y
	})
	return all
}

// TestPayloads says what becomes of a payload: deviceId and time, then each
// column that has a value. The rows are appended in three commits, so that the
// columns of the first are the table's when the next ones come.
func TestPayloads(t *testing.T) {
	cases := []struct{ body, want string }{
		{`{"temperature":21.50,"on":true,"state":"run"}`, `d 2026-11-25T12:00:00 temperature=21.5 on=true state="run"`},
		{`{"deviceId":"leaf","timestamp":"2026-11-25T10:00:00.123456Z","temperature":-1e2}`, `leaf 2026-11-25T10:00:00.123456 sender="d" temperature=-100`},
		{`{"a":{"b":{"c":1}},"a.b.c":2}`, `d 2026-11-25T12:00:00 rest={"a.b.c":2} a.b.c=1`},
		{`{"Temperature":3,"temperature":4}`, `d 2026-11-25T12:00:00 rest={"temperature":4} temperature=3`},
		{`{"TEMPERATURE":5}`, `d 2026-11-25T12:00:00 temperature=5`},
		{`{"temperature":"hot","on":1}`, `d 2026-11-25T12:00:00 temperature_string="hot" on_double=1`},
		{`{"n":9007199254740993,"m":9007199254740991,"x":1e999,"z":null}`, `d 2026-11-25T12:00:00 rest={"n":9007199254740993,"x":1e999} m=9007199254740991`},
		{`{"list":[1, 2],"none":{},"":1,"a b":2,"deep":{"1":{"2":{"3":{"4":5}}}}}`, `d 2026-11-25T12:00:00 rest={"list":[1, 2],"none":{},"":1,"a b":2,"deep.1.2.3":{"4":5}}`},
		{`{"seq":7,"day":"monday","deviceId":5,"rest":[]}`, `d 2026-11-25T12:00:00 rest={"rest":[]} seq_double=7 day_string="monday" deviceId_double=5`},
		{`{"time":"2262-12-31T00:00:00Z","ts":"1970-01-01T00:00:00Z"}`, `d 1970-01-01T00:00:00 time_string="2262-12-31T00:00:00Z"`},
		{`{"ts":"2026-11-25T13:00:00+01:00","timestamp":"2026-01-01T00:00:00Z"}`, `d 2026-11-25T12:00:00 rest={"ts":"2026-11-25T13:00:00+01:00"} timestamp="2026-01-01T00:00:00Z"`},
		{`{"temperature":NaN}`, `d 2026-11-25T12:00:00 body={"temperature":NaN} error="not JSON"`},
		{"\x00\xff", "d 2026-11-25T12:00:00 body=\x00\xff error=\"not JSON\""},
		{"{\"a\":\"\xff\"}", "d 2026-11-25T12:00:00 body={\"a\":\"\xff\"} error=\"not valid UTF-8\""},
		{`42`, `d 2026-11-25T12:00:00 body=42 error="not a JSON object"`},
		{``, `d 2026-11-25T12:00:00 body= error="not JSON"`},
		{`{"state":"\u0041\n"}`, `d 2026-11-25T12:00:00 state="A\n"`},
	}
	table := openTable(t, mem.New(), Options{})
	w := table.Writer(WriterOptions{})
	var rows []Row
	var want []string
	for i, c := range cases {
		rows = append(rows, Row{Sender: "d", Seq: int64(i), EnqueuedAt: noon, Body: []byte(c.body)})
		want = append(want, fmt.Sprint(i, " ", c.want))
	}
	for _, end := range []int{1, 5, len(rows)} {
		if err := w.Append(t.Context(), rows[:end], Txn{"app", int64(end) - 1}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, lines(t, table, Query{})); diff != "" {
		t.Error(diff)
	}
	if s := w.Stats(); s.Whole != 5 || s.Sides != 6 {
		t.Errorf("%+v", s)
	}
}

func TestRows(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"a":[1]}`, `0:{"a":[1]}`},
		{` [ {"a":1} , 2 ]`, `0:{"a":1} 1:2`},
		{`[]`, `0:[]`},
		{`[1,`, `0:[1,`},
	} {
		var got []string
		for _, r := range Rows(&telemetry.Message{Body: []byte(c.body)}, nil) {
			got = append(got, fmt.Sprintf("%d:%s", r.Index, r.Body))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
	}
}

// TestManyNames keeps a device that invents field names from making the table
// too wide: the values are in the rest.
func TestManyNames(t *testing.T) {
	table := openTable(t, mem.New(), Options{})
	w := table.Writer(WriterOptions{MaxColumns: 100})
	body := "{"
	for i := range 10_000 {
		body += fmt.Sprintf(`"field%d":%d,`, i, i)
	}
	appendBodies(t, w, "app", 0, body+`"last":1}`)
	appendBodies(t, w, "app", 1, `{"field9999":1,"field0":2}`)
	s, err := table.Snapshot(t.Context())
	if err != nil || len(s.Columns()) != 100 {
		t.Fatalf("%d columns, %v", len(s.Columns()), err)
	}
	got := lines(t, table, Query{Columns: []string{"rest", "field0"}})
	if len(got) != 2 || !strings.Contains(got[0], `"field9999":9999,"last":1}`) || !strings.HasSuffix(got[1], `rest={"field9999":1} field0=2`) {
		t.Errorf("%.100q", got)
	}
}

// TestSpeaks keeps a row that its sender may not write for another device.
func TestSpeaks(t *testing.T) {
	table := openTable(t, mem.New(), Options{})
	w := table.Writer(WriterOptions{Body: true, Speaks: func(_, device string) bool { return device != "other" }})
	appendBodies(t, w, "app", 0, `{"deviceId":"other"}`)
	want := []string{`0 d 2026-11-25T12:00:00 body={"deviceId":"other"} deviceId_string="other"`}
	if diff := cmp.Diff(want, lines(t, table, Query{})); diff != "" {
		t.Error(diff)
	}
}

// TestOnce appends the same rows again, in other batches: each is there once.
func TestOnce(t *testing.T) {
	b := mem.New()
	for _, batch := range []int{3, 5, 4} { // each time a new process
		w := openTable(t, b, Options{}).Writer(WriterOptions{})
		for seq := 0; seq < 20; seq += batch {
			var rows []Row
			for i := seq; i < min(seq+batch, 20); i++ {
				rows = append(rows, Row{Sender: "d", Seq: int64(i), EnqueuedAt: noon, Body: []byte(`{}`)})
			}
			if err := w.Append(t.Context(), rows, Txn{"app", rows[len(rows)-1].Seq}); err != nil {
				t.Fatal(err)
			}
			if seq%2 == 0 {
				if err := w.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if batch == 3 && seq > 10 {
				break // it dies with rows that wait
			}
		}
		if err := w.Flush(t.Context()); batch != 3 && err != nil {
			t.Fatal(err)
		}
	}
	got := lines(t, openTable(t, b, Options{}), Query{})
	for i, line := range got {
		if !strings.HasPrefix(line, fmt.Sprint(i, " ")) {
			t.Fatalf("row %d: %s", i, line)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d rows", len(got))
	}
}

// TestOverlap appends rows again before the first ones are committed.
func TestOverlap(t *testing.T) {
	table := openTable(t, mem.New(), Options{})
	w := table.Writer(WriterOptions{})
	for from := range int64(6) {
		rows := []Row{{Seq: from, EnqueuedAt: noon, Body: []byte(`{}`)}, {Seq: from + 1, EnqueuedAt: noon, Body: []byte(`{}`)}}
		if err := w.Append(t.Context(), rows, Txn{"app", from + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := clean(t, table); r.Rows != 7 {
		t.Errorf("%d rows", r.Rows)
	}
}

// lossyBucket loses the answer of some swaps: they happened, or not.
type lossyBucket struct {
	blob.Bucket
	random *rand.Rand
}

var errLost = errors.New("the answer was lost")

func (b *lossyBucket) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	switch b.random.IntN(4) {
	case 0:
		return blob.Absent, errLost
	case 1:
		if _, err := b.Bucket.Swap(ctx, name, old, r); err != nil {
			return blob.Absent, err
		}
		return blob.Absent, errLost
	case 2: // a client that retries by itself
		data, _ := io.ReadAll(r)
		_, _ = b.Bucket.Swap(ctx, name, old, strings.NewReader(string(data)))
		return b.Bucket.Swap(ctx, name, old, strings.NewReader(string(data)))
	}
	return b.Bucket.Swap(ctx, name, old, r)
}

// TestRaces has writers of several applications, two of them of the same one,
// on one table whose bucket loses answers. Each row is there once, and each
// column that any of them added.
func TestRaces(t *testing.T) {
	for seed := range uint64(8) {
		b := mem.New()
		random := rand.New(rand.NewPCG(seed, 0))
		openTable(t, b, Options{})
		var writers []*Writer
		for range 4 {
			table := openTable(t, &lossyBucket{b, random}, Options{CheckpointEvery: 3})
			writers = append(writers, table.Writer(WriterOptions{}))
		}
		next := make([]int64, len(writers))
		for range 100 {
			i := random.IntN(len(writers))
			app := fmt.Sprint("app", min(i, 2)) // the last two are of the same one
			w, from := writers[i], next[i]
			var rows []Row
			for range random.IntN(4) {
				rows = append(rows, Row{Sender: "d", Partition: min(i, 2), Seq: next[i], EnqueuedAt: noon,
					Body: fmt.Appendf(nil, `{"of%d":%d,"at%d":true}`, min(i, 2), next[i], next[i]%5)})
				next[i]++
			}
			if err := w.Append(t.Context(), rows, Txn{app, next[i] - 1}); err != nil {
				t.Fatal(from, err)
			}
			if err := w.Flush(t.Context()); err != nil && !errors.Is(err, errLost) {
				t.Fatal(err)
			}
		}
		for _, w := range writers {
			for err := w.Flush(t.Context()); err != nil; err = w.Flush(t.Context()) {
				if !errors.Is(err, errLost) {
					t.Fatal(err)
				}
			}
		}
		next[2] = max(next[2], next[3])
		checkRaces(t, openTable(t, b, Options{}), next[:3])
	}
}

func checkRaces(t *testing.T, table *Table, next []int64) {
	t.Helper()
	seen := map[[2]int64]int{}
	sc, err := table.Scan(t.Context(), Query{Columns: []string{"of0", "of1", "of2"}})
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range sc.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Values[r.Partition].Float() != float64(r.Seq) {
			t.Errorf("partition %d seq %d has %v", r.Partition, r.Seq, r.Values)
		}
		seen[[2]int64{int64(r.Partition), r.Seq}]++
	}
	for p, n := range next {
		for seq := range n {
			if got := seen[[2]int64{int64(p), seq}]; got != 1 {
				t.Errorf("partition %d seq %d is there %d times", p, seq, got)
			}
		}
	}
}
