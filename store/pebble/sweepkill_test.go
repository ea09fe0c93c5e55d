//go:build unix

package pebble_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

// TestSweepKill kills a real process in front of and behind each cut of a sweep
// over two days: whatever has not expired stays, what has is never read, and
// the next sweep gives all of its space back.
func TestSweepKill(t *testing.T) {
	for hit := 1; hit <= 4; hit++ {
		t.Run(fmt.Sprint("hit ", hit), func(t *testing.T) {
			dir := t.TempDir()
			live := fillForSweep(t, dir)
			before := diskUse(t, dir)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), sweepChild+"="+dir, fmt.Sprint("WEIR_FAILPOINT=store/ttl-sweep:", hit))
			out, _ := cmd.CombinedOutput()
			if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGKILL {
				t.Fatalf("the child was not killed in its sweep: %s", out)
			}
			s := open(t, dir, sweepOptions())
			checkSwept(t, s, live)
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkSwept(t, s, live)
			moved := storetest.Doc("d1", live[1][0], storetest.Start.Add(4*24*time.Hour), "1")
			if err := s.Upsert(t.Context(), []store.Document{moved}); err != nil { // its ID is still known
				t.Fatal(err)
			}
			checkSwept(t, s, live)
			if err := s.Close(); err != nil { // waits for the removal of files
				t.Fatal(err)
			}
			if after := diskUse(t, dir); before < 3<<20 || after > before/4 {
				t.Errorf("%d bytes before, %d after: the space did not come back", before, after)
			}
		})
	}
}

// fillForSweep writes documents that live for hours, a day, a month and for
// ever, and returns the sorted IDs of the latter two by device.
func fillForSweep(t *testing.T, dir string) (live [3][]string) {
	t.Helper()
	clock := storetest.NewClock()
	s := open(t, dir, pebble.Options{Now: clock.Now, MemTableBytes: 256 << 10, IDTable: 500})
	rnd := rand.New(rand.NewPCG(5, 5))
	lives := []time.Duration{time.Hour, 24 * time.Hour, time.Hour, 24 * time.Hour, time.Hour, 24 * time.Hour, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 0}
	for batch := range 25 {
		var docs []store.Document
		for i := range 200 {
			n := batch*200 + i
			data := []byte{'"'}
			for len(data) < 700 {
				data = fmt.Appendf(data, "%016x", rnd.Uint64())
			}
			d := storetest.Doc(fmt.Sprint("d", n%3), fmt.Sprintf("%05d", n), storetest.Start.Add(time.Duration(n)), string(append(data, '"')))
			d.Generated = n%5 == 0
			d.Expires = time.Time{}
			if lives[n%10] > 0 {
				d.Expires = d.Time.Add(lives[n%10])
			}
			if n%10 >= 8 {
				live[n%3] = append(live[n%3], d.ID)
			}
			docs = append(docs, d)
		}
		if err := s.Upsert(t.Context(), docs); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return live
}

// checkSwept has what lives in the store, and nothing else.
func checkSwept(t *testing.T, s *pebble.Store, live [3][]string) {
	t.Helper()
	for d := range live {
		var got []string
		for _, doc := range storetest.Collect(t, s, store.Range{DeviceID: fmt.Sprint("d", d)}) {
			got = append(got, doc.ID)
		}
		slices.Sort(got)
		if !slices.Equal(got, live[d]) {
			t.Errorf("device d%d has %d documents, want %d", d, len(got), len(live[d]))
		}
	}
}
