package lake

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/mem"
)

// A model is what the table must hold.
type model struct {
	random *rand.Rand
	table  *Table
	w      *Writer
	seq    int64
	start  time.Time // in the last days of a month
	now    time.Time
	rows   []modelRow
}

type modelRow struct {
	Place
	device   string
	enqueued time.Time
	x        float64
	hasX     bool
}

func newModel(t *testing.T, seed uint64) *model { return newModelIn(t, mem.New(), seed) }

func newModelIn(t *testing.T, b blob.Bucket, seed uint64) *model {
	t.Helper()
	start := noon.AddDate(0, 0, 4)
	m := &model{random: rand.New(rand.NewPCG(seed, 1)), start: start, now: start}
	m.table = openTable(t, b, Options{CheckpointEvery: 4, Now: func() time.Time { return m.now }})
	m.w = m.table.Writer(WriterOptions{})
	return m
}

// grow appends some rows, a tenth of them late by up to two days.
func (m *model) grow(t *testing.T, n int) {
	t.Helper()
	var rows []Row
	for range n {
		m.now = m.now.Add(time.Duration(m.random.IntN(60_000)) * time.Millisecond)
		at := m.now.Truncate(time.Millisecond)
		if m.random.IntN(10) == 0 {
			at = at.Add(-time.Duration(m.random.IntN(48)) * time.Hour)
		}
		r := modelRow{device: fmt.Sprint("device-", m.random.IntN(5)), enqueued: m.now, x: float64(m.random.IntN(1000)) / 8, hasX: m.random.IntN(4) > 0}
		r.Place = Place{at.UnixMicro(), m.random.IntN(3), m.seq, 0}
		body := fmt.Sprintf(`{"timestamp":"%s"}`, at.Format(time.RFC3339Nano))
		if r.hasX {
			body = fmt.Sprintf(`{"timestamp":"%s","x":%v}`, at.Format(time.RFC3339Nano), r.x)
		}
		rows = append(rows, Row{Sender: r.device, Partition: r.Partition, Seq: m.seq, EnqueuedAt: m.now, Body: []byte(body)})
		m.rows = append(m.rows, r)
		m.seq++
	}
	if err := m.w.Append(t.Context(), rows, Txn{"app", m.seq - 1}); err != nil {
		t.Fatal(err)
	}
	if err := m.w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (m *model) want(q Query) (all []string) {
	rows := slices.Clone(m.rows)
	slices.SortFunc(rows, func(a, b modelRow) int {
		if n := a.Compare(b.Place); q.Oldest {
			return n
		} else {
			return -n
		}
	})
	for _, r := range rows {
		at := time.UnixMicro(r.Time)
		if q.Device != "" && q.Device != r.device || !q.From.IsZero() && at.Before(q.From) || !q.To.IsZero() && !at.Before(q.To) ||
			!q.EnqueuedFrom.IsZero() && r.enqueued.Before(q.EnqueuedFrom) || !q.EnqueuedTo.IsZero() && !r.enqueued.Before(q.EnqueuedTo) {
			continue
		}
		if q.After != nil {
			if n := r.Compare(*q.After); n == 0 || (n < 0) == q.Oldest {
				continue
			}
		}
		x := "null"
		if r.hasX {
			x = fmt.Sprint(r.x)
		}
		if all = append(all, fmt.Sprint(r.device, r.Place, x)); q.Limit > 0 && len(all) == q.Limit {
			break
		}
	}
	return all
}

func (m *model) got(t *testing.T, q Query) (all []string) {
	t.Helper()
	q.Columns = []string{"X"}
	sc, err := m.table.Scan(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range sc.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(r.DeviceID, r.Place, string(r.Values[0].AppendJSON(nil))))
	}
	return all
}

// randomQuery leaves most conditions out; that of all devices has no order.
func (m *model) randomQuery() Query {
	q := Query{Oldest: m.random.IntN(2) == 0}
	some := func(of int) bool { return m.random.IntN(of) == 0 }
	moment := func() time.Time {
		if some(2) { // exactly a row's
			return time.UnixMicro(m.rows[m.random.IntN(len(m.rows))].Time)
		}
		return m.start.Add(time.Duration(m.random.Int64N(int64(m.now.Sub(m.start)))))
	}
	if some(2) {
		q.From = moment()
	}
	if some(2) {
		q.To = moment()
	}
	if some(4) {
		q.EnqueuedFrom = moment()
	}
	if some(4) {
		q.EnqueuedTo = moment()
	}
	if some(5) {
		return q
	}
	q.Device = fmt.Sprint("device-", m.random.IntN(6))
	if some(3) {
		q.Limit = 1 + m.random.IntN(20)
	}
	if some(3) {
		q.After = &m.rows[m.random.IntN(len(m.rows))].Place
	}
	return q
}

// TestScan asks random questions of a table that grows over days and is
// compacted meanwhile; the rows that come back are a plain list's.
func TestScan(t *testing.T) {
	for seed := range uint64(4) {
		m := newModel(t, seed)
		for range 12 {
			m.grow(t, 1+m.random.IntN(1000))
			if m.random.IntN(3) == 0 {
				if _, err := m.table.Compact(t.Context(), CompactOptions{FileSize: 1 << 10}); err != nil {
					t.Fatal(err)
				}
			}
			for range 8 {
				q := m.randomQuery()
				got, want := m.got(t, q), m.want(q)
				if q.Device == "" {
					slices.Sort(got)
					slices.Sort(want)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, %+v: %d rows, want %d: %s", seed, q, len(got), len(want), firstDifference(got, want))
				}
			}
			m.checkSeries(t)
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "none", "none"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("row %d is %s, want %s", i, g, w)
		}
	}
	return "none"
}

// checkSeries compares the buckets of some step with those of the list.
func (m *model) checkSeries(t *testing.T) {
	t.Helper()
	steps := []time.Duration{time.Hour, 5 * time.Hour, 24 * time.Hour, 90 * time.Minute}
	q := SeriesQuery{Device: "device-1", Measures: []string{"x"}, From: m.start.Add(-30 * time.Hour), To: m.now, Step: steps[m.random.IntN(4)]}
	got, err := m.table.Series(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(0, q.From.UnixNano()/int64(q.Step)*int64(q.Step)).UTC()
	want := make([]Bucket, len(got[0]))
	rows := slices.Clone(m.rows)
	slices.SortFunc(rows, func(a, b modelRow) int { return a.Compare(b.Place) })
	for _, r := range rows {
		i := int(time.UnixMicro(r.Time).Sub(start) / q.Step)
		if r.device != q.Device || !r.hasX || time.UnixMicro(r.Time).Before(start) || i >= len(want) {
			continue
		}
		b := &want[i]
		if b.Count == 0 {
			b.Min, b.Max = math.Inf(1), math.Inf(-1)
		}
		b.Count++
		b.Mean += r.x
		b.Min, b.Max, b.Last, b.LastTime = min(b.Min, r.x), max(b.Max, r.x), r.x, time.UnixMicro(r.Time).UTC()
	}
	for i := range want {
		want[i].Start = start.Add(time.Duration(i) * q.Step)
		if want[i].Count > 0 {
			want[i].Mean /= float64(want[i].Count) // eighths: the sum is exact
		}
	}
	if !slices.Equal(got[0], want) {
		t.Fatalf("step %v: %v\nwant %v", q.Step, got[0], want)
	}
}

// TestEdges has four rows in two files, in turn: ranges include their beginning
// and not their end, and the files are merged.
func TestEdges(t *testing.T) {
	table := openTable(t, mem.New(), Options{})
	w := table.Writer(WriterOptions{})
	body := func(ms int) string { return fmt.Sprintf(`{"ts":"2026-11-25T12:00:00.%03dZ"}`, ms) }
	appendBodies(t, w, "app", 0, body(0), body(10))
	appendBodies(t, w, "app", 2, body(5), body(15))
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Oldest: true}, "[0 2 1 3]"},
		{Query{}, "[3 1 2 0]"},
		{Query{From: at(15)}, "[3]"},
		{Query{From: at(10), To: at(15)}, "[1]"},
		{Query{To: at(0)}, "[]"},
		{Query{From: at(15).Add(time.Nanosecond)}, "[]"},
		{Query{To: at(0).Add(time.Nanosecond)}, "[0]"},
		{Query{Limit: 2, After: &Place{Time: at(15).UnixMicro(), Seq: 3}}, "[1 2]"},
	} {
		c.q.Device, c.q.Columns = "d", []string{}
		sc, err := table.Scan(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		got := []int64{}
		for r, err := range sc.Rows(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Seq)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%+v: %v, want %s", c.q, got, c.want)
		}
	}
}

func TestStepFor(t *testing.T) {
	for _, c := range []struct {
		days   float64
		points int
		want   time.Duration
	}{{365, 1000, 12 * time.Hour}, {1.0 / 24, 60, 2 * time.Minute}, {1, 1441, time.Minute}, {3650, 100, 37 * 24 * time.Hour}} {
		to := noon.Add(time.Duration(c.days * 24 * float64(time.Hour)))
		if got := StepFor(noon, to, c.points); got != c.want {
			t.Errorf("%v days in %d: %v, want %v", c.days, c.points, got, c.want)
		}
	}
}

// TestCompacted looks at what a compacted day is made of.
func TestCompacted(t *testing.T) {
	m := newModel(t, 1)
	for range 40 {
		m.grow(t, 50) // more files than are merged at a time
	}
	before, _ := m.table.Snapshot(t.Context())
	stats, err := m.table.Compact(t.Context(), CompactOptions{FileSize: 2 << 10})
	if err != nil {
		t.Fatal(err)
	}
	after, _ := m.table.Snapshot(t.Context())
	byDay := map[time.Time][]*File{}
	rows := int64(0)
	for _, f := range after.Files() {
		byDay[f.Day] = append(byDay[f.Day], f)
		rows += f.Rows
	}
	today := m.now.Truncate(24 * time.Hour)
	for day, files := range byDay {
		slices.SortFunc(files, func(a, b *File) int {
			return strings.Compare(*a.bounds.MinValues.DeviceID, *b.bounds.MinValues.DeviceID)
		})
		for i, f := range files {
			if day.Equal(today) {
				continue
			}
			if f.add.Tags[sortedTag] != compacted || f.add.Tags[seriesTag] == "" || f.add.DataChange {
				t.Errorf("%s: %+v", f.Path, f.add)
			}
			if i > 0 && *files[i-1].bounds.MaxValues.DeviceID >= *f.bounds.MinValues.DeviceID {
				t.Errorf("files of %v share a device", day)
			}
		}
	}
	if rows != int64(len(m.rows)) || stats.Days == 0 || len(after.files) >= len(before.files) {
		t.Errorf("%d rows of %d, %+v, %d files, before %d", rows, len(m.rows), stats, len(after.files), len(before.files))
	}
	again, err := m.table.Compact(t.Context(), CompactOptions{})
	if err != nil || again != (CompactStats{}) {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestMonth has the aggregates of a month in one file, those of late rows
// beside it, and none of a day that left the table.
func TestMonth(t *testing.T) {
	m := newModel(t, 2)
	m.start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	m.now = m.start
	compact := func() (files []*File, series []string) {
		if _, err := m.table.Compact(t.Context(), CompactOptions{}); err != nil {
			t.Fatal(err)
		}
		s, _ := m.table.Snapshot(t.Context())
		return s.monthly(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	}
	for range 40 { // more days than are merged at a time
		m.grow(t, 20)
		m.now = m.now.Add(24 * time.Hour)
	}
	if files, series := compact(); len(files) < 29 || len(series) != 1 {
		t.Errorf("%d files have aggregates in %q", len(files), series)
	}
	m.checkSeries(t)
	now := m.now
	m.now = m.start.Add(5 * 24 * time.Hour)
	m.grow(t, 20) // rows of a day that was compacted
	m.now = now
	files, series := compact()
	if len(series) != 1 {
		t.Errorf("with late rows: aggregates in %q", series)
	}
	m.checkSeries(t)
	m.checkSources(t, files, series[0])
	if days, err := m.table.Retain(t.Context(), Retention{Age: 35 * 24 * time.Hour}); err != nil || len(days) < 4 {
		t.Fatal(days, err)
	}
	s, _ := m.table.Snapshot(t.Context())
	oldest := s.Files()[0].Day
	m.rows = slices.DeleteFunc(m.rows, func(r modelRow) bool { return r.enqueued.Before(oldest) })
	m.checkSeries(t)
	m.now = m.now.Add(week + time.Second)
	if v, err := m.table.Vacuum(t.Context()); err != nil || v.Series < 29 {
		t.Errorf("%+v, %v", v, err)
	}
	m.checkSeries(t)
	clean(t, m.table)
}

// checkSources finds no aggregates but those of files.
func (m *model) checkSources(t *testing.T, files []*File, path string) {
	t.Helper()
	r, err := m.table.openFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	left := map[string]bool{}
	for _, f := range files {
		left[f.Path] = true
	}
	values, err := r.read(span{0, 0, r.groups[0].NumRows()}, "source", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if !left[string(v.ByteArray())] {
			t.Fatalf("aggregates of %s, which left the table", v.ByteArray())
		}
	}
}
