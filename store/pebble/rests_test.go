package pebble

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/storetest"
)

// TestSweepLastLevel cuts files of the last level, which no compaction of a
// level above would ever rewrite.
func TestSweepLastLevel(t *testing.T) {
	clock := storetest.NewClock()
	s, err := Open("", Options{FS: vfs.NewMem(), Now: clock.Now, SweepEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var docs []store.Document
	for i := range 500 {
		d := storetest.Doc("d", fmt.Sprint(i), storetest.Start.Add(time.Duration(i)), `"some text"`)
		d.Expires = d.Time.Add(time.Duration(1+i%2*50) * 24 * time.Hour)
		docs = append(docs, d)
	}
	if err := s.Upsert(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Compact(t.Context(), []byte{kindDocument}, []byte{kindSegment + 1}, false); err != nil {
		t.Fatal(err)
	}
	clock.Advance(3 * 24 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	levels, err := s.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for level, tables := range levels {
		for _, table := range tables {
			if table.Virtual {
				t.Errorf("level %d has a rest of a cut file, from %q", level, table.Smallest.UserKey)
			}
		}
	}
	if got := len(storetest.Collect(t, s, store.Range{DeviceID: "d"})); got != 250 {
		t.Errorf("%d documents, want 250", got)
	}
}
