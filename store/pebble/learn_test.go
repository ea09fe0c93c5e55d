package pebble

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/storetest"
)

// TestLearnLeavesTheCache: a start reads all runs and keeps no more of them in
// memory than the filters; after it the cache is there for who reads.
func TestLearnLeavesTheCache(t *testing.T) {
	clock := storetest.NewClock()
	o := Options{FS: vfs.NewMem(), Now: clock.Now, SweepEvery: time.Hour}
	s, err := Open("", o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Upsert(t.Context(), []store.Document{storetest.Doc("d", "1", storetest.Start, "1")}); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	const n = 500_000 // three times learnCache
	for range n {
		s.ids.table.put(place{hash: rnd.Uint64(), check: rnd.Uint32(), nano: rnd.Int64()})
	}
	if err := s.writeRun(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open("", o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for learned := false; !learned; runtime.Gosched() {
		if err := s.write.lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		learned = s.ids.filters[0].complete
		s.write.unlock()
	}
	size := func() int64 { return s.db.Metrics().BlockCache.Size }
	if got := size(); got > learnCache {
		t.Errorf("%d bytes of blocks in the cache, want %d at most", got, learnCache)
	}
	for range 1000 {
		if readRuns(t, s); size() > 2*learnCache {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d bytes of blocks in the cache after reading all: it stays small", size())
}

func readRuns(t *testing.T, s *Store) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindIndex}, UpperBound: []byte{kindIndex + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if _, err := it.ValueAndErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}
