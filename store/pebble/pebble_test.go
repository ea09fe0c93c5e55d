package pebble_test

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

func open(t testing.TB, dir string, o pebble.Options) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, "", pebble.Options{FS: vfs.NewMem(), Now: now})
	})
}

func TestStoreOnDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, t.TempDir(), pebble.Options{Now: now, MemTableBytes: 256 << 10})
	})
}

// TestStoreWithRuns has hardly any ID in memory: almost each is in a run, and
// the filters are soon full.
func TestStoreWithRuns(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, "", pebble.Options{FS: vfs.NewMem(), Now: now, IDTable: 3, FilterBytes: 1})
	})
}
