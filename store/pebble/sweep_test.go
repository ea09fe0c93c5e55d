package pebble_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// TestSweepFreesDisk writes 12 MB for a day and a little for a month: after
// the day only the little is on the disk.
func TestSweepFreesDisk(t *testing.T) {
	dir := t.TempDir()
	clock := storetest.NewClock()
	o := pebble.Options{Now: clock.Now, MemTableBytes: 1 << 20}
	s := open(t, dir, o)
	rnd := rand.New(rand.NewPCG(1, 1))
	n := 0
	batch := func(count int, life time.Duration) {
		var docs []store.Document
		for range count {
			n++
			data := make([]byte, 0, 1100)
			data = append(data, '"')
			for len(data) < 1000 {
				data = fmt.Appendf(data, "%016x", rnd.Uint64())
			}
			d := storetest.Doc(fmt.Sprint("d", n%10), fmt.Sprint(n), storetest.Start.Add(time.Duration(n)), string(append(data, '"')))
			d.Expires = d.Time.Add(life)
			docs = append(docs, d)
		}
		if err := s.Upsert(t.Context(), docs); err != nil {
			t.Fatal(err)
		}
	}
	for range 60 {
		batch(200, 24*time.Hour)
		batch(2, 30*24*time.Hour)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := diskUse(t, dir)
	clock.Advance(12 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(storetest.Collect(t, s, store.Range{DeviceID: "d1"})); got != n/10 {
		t.Errorf("%d documents before their time is over, want %d", got, n/10)
	}
	clock.Advance(48 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	batch(1, time.Hour) // the store goes on
	clock.Advance(9 * 24 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil { // the generation of the ID index, too
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // waits for the removal of files
		t.Fatal(err)
	}
	if after := diskUse(t, dir); before < 5<<20 || after > before/10 {
		t.Errorf("%d bytes before, %d after: the space did not come back", before, after)
	}
	s = open(t, dir, o)
	defer s.Close()
	left := 0
	for d := range 10 {
		left += len(storetest.Collect(t, s, store.Range{DeviceID: fmt.Sprint("d", d)}))
	}
	if left != 60*2 {
		t.Errorf("%d documents left, want %d", left, 60*2)
	}
}

// TestSweepUnderRead removes the day that a running read is looking at: the
// read goes on with what was there when it began.
func TestSweepUnderRead(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, t.TempDir(), pebble.Options{Now: clock.Now})
	defer s.Close()
	var docs []store.Document
	for i := range 3000 {
		docs = append(docs, storetest.Doc("d", fmt.Sprint(i), storetest.Start.Add(time.Duration(i)), `{"some":"text of a few bytes"}`))
	}
	if err := s.Upsert(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range s.Read(t.Context(), store.Range{DeviceID: "d"}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			clock.Advance(30 * 24 * time.Hour)
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n != len(docs) {
		t.Errorf("the read gave %d documents of %d", n, len(docs))
	}
	if got := storetest.IDs(t, s, store.Range{DeviceID: "d"}); got != "" {
		t.Errorf("a later read gave %q", got)
	}
}

// fullFS is a disk that can be full.
type fullFS struct {
	vfs.FS
	full atomic.Bool
	hits atomic.Int64
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f fullFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		f.fs.hits.Add(1)
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return fullFile{file, f}, err
}

func (f *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if f.hits.Load() > 0 { // somebody frees space as soon as it is missed
		f.full.Store(false)
		return vfs.DiskUsage{AvailBytes: 1 << 40}, nil
	}
	return vfs.DiskUsage{}, nil
}

// TestFullDisk is waited out, and nothing is lost.
func TestFullDisk(t *testing.T) {
	fs := &fullFS{FS: vfs.NewMem()}
	clock := storetest.NewClock()
	o := pebble.Options{FS: fs, Now: clock.Now}
	s := open(t, "db", o)
	for n := range 30 {
		crashUpsert(s, t, n)
	}
	fs.full.Store(true)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if fs.hits.Load() == 0 {
		t.Error("the disk was never full: this test proves nothing")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, "db", o)
	defer s.Close()
	if mark := checkCrashed(t, s); mark != 29 {
		t.Errorf("mark %d, want 29", mark)
	}
}

// TestReopen has everything where it was after a clean stop.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	clock := storetest.NewClock()
	o := pebble.Options{Now: clock.Now}
	for round := range 3 {
		s := open(t, dir, o)
		if mark := checkCrashed(t, s); mark != int64(round*10-1) {
			t.Fatalf("round %d begins at mark %d", round, mark)
		}
		for n := range 10 {
			crashUpsert(s, t, round*10+n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkReadHour reads 3,600 documents of one device out of 360,000.
func BenchmarkReadHour(b *testing.B) {
	s := open(b, b.TempDir(), pebble.Options{Now: func() time.Time { return storetest.Start }})
	defer s.Close()
	for second := range 3600 {
		docs := make([]store.Document, 100)
		for i := range docs {
			docs[i] = storetest.Doc(fmt.Sprint("machine-", i), fmt.Sprintf("~0000-%012x-00000", second*100+i), storetest.Start.Add(time.Duration(second-3600)*time.Second),
				fmt.Sprintf(`{"deviceId":"machine-%d","timestamp":"2026-01-01T00:00:01.123Z","temperature":21.%d,"humidity":48.2,"pressure":1013.25}`, i, second))
			docs[i].Generated = true
		}
		if err := s.Upsert(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range s.Read(b.Context(), store.Range{DeviceID: "machine-42", From: storetest.Start.Add(-time.Hour)}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 3600 {
			b.Fatalf("read %d documents", n)
		}
	}
}
