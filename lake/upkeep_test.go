package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/mem"
)

const week = 7 * 24 * time.Hour

func objects(t *testing.T, b blob.Bucket, prefix string) (all []string) {
	t.Helper()
	for name, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	return all
}

func clean(t *testing.T, table *Table) *Report {
	t.Helper()
	r, err := table.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Error(p)
	}
	return r
}

// TestVacuum follows files that left the table, orphans and the log: each stays
// for a week.
func TestVacuum(t *testing.T) {
	m := newModel(t, 3)
	b := m.table.bucket
	for range 10 {
		m.grow(t, 200)
	}
	orphan := "telemetry/" + m.table.fileName(m.now)
	foreign := "telemetry/year=2026/month=11/day=30/of-somebody-else.parquet"
	for _, name := range []string{orphan, foreign} {
		if err := b.Put(t.Context(), name, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	before := len(objects(t, b, "telemetry/year="))
	stats, err := m.table.Compact(t.Context(), CompactOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.table.Vacuum(t.Context()); err != nil || got != (VacuumStats{}) {
		t.Errorf("at once: %+v, %v", got, err)
	}
	m.now = m.now.Add(week + time.Second)
	got, err := m.table.Vacuum(t.Context())
	if err != nil || got.Files != stats.FilesBefore || got.Orphans != 1 || got.Log == 0 {
		t.Errorf("after a week: %+v, %v", got, err)
	}
	if left := len(objects(t, b, "telemetry/year=")); left != before+stats.FilesAfter-stats.FilesBefore-1 {
		t.Errorf("%d files left", left)
	}
	for _, table := range []*Table{m.table, openTable(t, b, Options{})} {
		m.table = table
		if got, want := m.got(t, Query{Device: "device-1"}), m.want(Query{Device: "device-1"}); !cmp.Equal(got, want) {
			t.Errorf("%d rows, want %d", len(got), len(want))
		}
	}
	clean(t, m.table)
}

func TestRetain(t *testing.T) {
	m := newModel(t, 4)
	for range 10 {
		m.grow(t, 500) // 12 hours and a half each
	}
	s, _ := m.table.Snapshot(t.Context())
	usage := s.Usage()
	if len(usage) != 3 {
		t.Fatalf("%+v", usage)
	}
	free := usage[0].Bytes + usage[1].Bytes
	if days, ok := s.Forecast(free, m.now); !ok || days != 2 {
		t.Errorf("full in %v days, %t", days, ok)
	}
	if _, ok := s.Forecast(free, m.start); ok {
		t.Error("a forecast without a whole day")
	}
	days, err := m.table.Retain(t.Context(), Retention{Age: week, Bytes: usage[1].Bytes + usage[2].Bytes})
	if err != nil || len(days) != 1 || !days[0].Equal(usage[0].Day) {
		t.Errorf("%v, %v", days, err)
	}
	m.now = m.now.Add(week)
	days, err = m.table.Retain(t.Context(), Retention{Age: 2 * 24 * time.Hour, Bytes: 1})
	if err != nil || len(days) != 1 || !days[0].Equal(usage[1].Day) {
		t.Errorf("the newest day stays: %v, %v", days, err)
	}
	if r := clean(t, m.table); r.Rows != usage[2].Rows {
		t.Errorf("%d rows, want %d", r.Rows, usage[2].Rows)
	}
}

// TestVerify damages a table in several ways; each is found.
func TestVerify(t *testing.T) {
	damage := map[string]func(*testing.T, *model, *File){
		"object": func(t *testing.T, m *model, f *File) {
			if err := m.table.bucket.Delete(t.Context(), "telemetry/"+f.Path); err != nil {
				t.Fatal(err)
			}
		},
		"corrupt": func(t *testing.T, m *model, f *File) {
			data, _, err := blob.Read(t.Context(), m.table.bucket, "telemetry/"+f.Path)
			if err != nil {
				t.Fatal(err)
			}
			for i := len(data) / 3; i < len(data)/2; i++ {
				data[i] ^= 0x55
			}
			if err := m.table.bucket.Put(t.Context(), "telemetry/"+f.Path, strings.NewReader(string(data))); err != nil {
				t.Fatal(err)
			}
		},
		"twice": func(t *testing.T, m *model, _ *File) { // an application that counts anew
			if err := m.w.Append(t.Context(), []Row{{Partition: m.rows[0].Partition, EnqueuedAt: m.now, Body: []byte(`{}`)}}, Txn{"other", 0}); err != nil {
				t.Fatal(err)
			}
			if err := m.w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"the log says": func(t *testing.T, m *model, f *File) {
			a := f.add
			a.Stats = strings.Replace(a.Stats, fmt.Sprintf(`"numRecords":%d`, f.Rows), `"numRecords":7`, 1)
			_, err := m.table.commit(t.Context(), "TEST", m.table.known(), func(*Snapshot) ([]action, error) {
				return []action{{Add: &a}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	for want, break1 := range damage {
		m := newModel(t, 5)
		m.grow(t, 300)
		m.grow(t, 300)
		if r := clean(t, m.table); r.Rows != 600 || len(r.Partitions) != 3 {
			t.Fatalf("%+v", r)
		}
		s, _ := m.table.Snapshot(t.Context())
		break1(t, m, s.Files()[0])
		r, err := m.table.Verify(t.Context(), nil)
		if err != nil || len(r.Problems) == 0 || !strings.Contains(strings.Join(r.Problems, "\n"), want) {
			t.Errorf("%s: %+v, %v", want, r, err)
		}
	}
}

// TestConflict has two processes compact the same day: one of them wins, and
// the other's files are no part of the table.
func TestConflict(t *testing.T) {
	m := newModel(t, 6)
	for range 6 {
		m.grow(t, 300)
	}
	other := openTable(t, m.table.bucket, m.table.opts)
	s := m.table.known()
	first := &compaction{t: m.table, s: s, opts: CompactOptions{FileSize: 1 << 20}}
	second := &compaction{t: other, s: s, opts: CompactOptions{FileSize: 1 << 20}}
	if err := first.day(t.Context(), s.days()[0]); err != nil {
		t.Fatal(err)
	}
	if err := second.day(t.Context(), s.days()[0]); !errors.Is(err, ErrConflict) {
		t.Errorf("the second compaction: %v", err)
	}
	clean(t, m.table)
	if got, want := m.got(t, Query{Device: "device-2"}), m.want(Query{Device: "device-2"}); !cmp.Equal(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}

// TestSeqSet compares the set with a map.
func TestSeqSet(t *testing.T) {
	m := newModel(t, 7)
	var s seqSet
	want := map[int64]bool{}
	for range 200_000 {
		n := m.random.Int64N(100_000) + m.random.Int64N(2)<<40
		if got := s.add(n); got == want[n] {
			t.Fatalf("adding %d is new: %t", n, got)
		}
		want[n] = true
	}
	low, high := s.bounds()
	if s.count != int64(len(want)) || !want[low] || !want[high] || low > 10 || high < 1<<40 {
		t.Errorf("%d numbers from %d to %d", s.count, low, high)
	}
}

// TestOtherProtocols refuses tables that this package must not touch.
func TestOtherProtocols(t *testing.T) {
	table := openTable(t, mem.New(), Options{})
	w := table.Writer(WriterOptions{})
	change := func(a action) error {
		_, err := table.commit(context.Background(), "TEST", table.known(), func(*Snapshot) ([]action, error) { return []action{a}, nil })
		return err
	}
	if err := change(action{Protocol: &protocol{1, 7}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(t.Context(), []Row{{EnqueuedAt: noon, Body: []byte(`{}`)}}, Txn{"app", 0}); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); !errors.Is(err, ErrProtocol) {
		t.Errorf("writer version 7: %v", err)
	}
	if err := change(action{Protocol: &protocol{3, 7}}); !errors.Is(err, ErrProtocol) {
		t.Errorf("reader version 3: %v", err)
	}
}

// TestExport writes a device's rows to a file and reads them back.
func TestExport(t *testing.T) {
	m := newModel(t, 8)
	m.grow(t, 5000)
	var file bytes.Buffer
	q := Query{Device: "device-4", Oldest: true}
	n, err := m.table.Export(t.Context(), q, &file, nil)
	want := m.want(q)
	if err != nil || n != int64(len(want)) {
		t.Fatalf("%d rows, want %d: %v", n, len(want), err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		DeviceID  string   `parquet:"deviceId"`
		Time      int64    `parquet:"time"`
		Partition int32    `parquet:"partition"`
		Seq       int64    `parquet:"seq"`
		X         *float64 `parquet:"x,optional"`
	}
	rows := make([]row, n)
	if _, err := parquet.NewGenericReader[row](f).Read(rows); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for i, r := range rows {
		x := "null"
		if r.X != nil {
			x = fmt.Sprint(*r.X)
		}
		if got := fmt.Sprint(r.DeviceID, Place{r.Time, int(r.Partition), r.Seq, 0}, x); got != want[i] {
			t.Fatalf("row %d is %s, want %s", i, got, want[i])
		}
	}
}
