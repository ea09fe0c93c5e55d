package pebble_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

const crashConsumer = "crash"

// crashBatch is the n-th Upsert of the crash tests, always the same: new
// documents, documents that move, and now and then more than a table in memory
// takes.
func crashBatch(n int) []store.Document {
	rnd := rand.New(rand.NewPCG(7, uint64(n)))
	size := 1 + rnd.IntN(8)
	if rnd.IntN(25) == 0 {
		size = 400
	}
	docs := make([]store.Document, 0, size)
	for i := range size {
		noise := make([]byte, 20+rnd.IntN(100))
		for j := range noise {
			noise[j] = byte(rnd.Uint32())
		}
		d := storetest.Doc(fmt.Sprint("d", rnd.IntN(3)), fmt.Sprint("id", rnd.IntN(60)),
			storetest.Start.Add(time.Duration(rnd.IntN(100))*time.Hour), fmt.Sprintf(`{"n":%d,"x":"%s"}`, n, hex.EncodeToString(noise)))
		if rnd.IntN(2) == 0 {
			d.ID, d.Generated = fmt.Sprintf("~%08d-%03d", n, i), true
		}
		docs = append(docs, d)
	}
	return docs
}

// crashState is what the store has after the batches 0 to last.
func crashState(last int64) map[string]string {
	state := make(map[string]string)
	for n := range last + 1 {
		for _, d := range crashBatch(int(n)) {
			state[d.DeviceID+" "+d.ID] = d.Time.String() + string(d.Data)
		}
	}
	return state
}

// checkCrashed compares the whole store with the one prefix that its mark names.
func checkCrashed(t *testing.T, s *pebble.Store) (mark int64) {
	t.Helper()
	mark, err := s.Mark(t.Context(), crashConsumer, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for device := range 3 {
		for _, d := range storetest.Collect(t, s, store.Range{DeviceID: fmt.Sprint("d", device)}) {
			key := d.DeviceID + " " + d.ID
			if _, twice := got[key]; twice {
				t.Errorf("%s is there twice", key)
			}
			got[key] = d.Time.String() + string(d.Data)
		}
	}
	if diff := cmp.Diff(crashState(mark), got); diff != "" {
		t.Fatalf("the store is not what mark %d says: %s", mark, diff)
	}
	return mark
}

func crashUpsert(s *pebble.Store, t testing.TB, n int) {
	if err := s.Upsert(t.Context(), crashBatch(n), crashMark(n)); err != nil {
		t.Fatal(err)
	}
}

func crashMark(n int) store.Mark { return store.Mark{Consumer: crashConsumer, Ordinal: int64(n)} }

// TestCrashKeepsPrefix cuts the power at random moments of an in-memory file
// system: what is left is always the first so many batches, whole, with the
// mark of the last of them, and never less than the last flush.
func TestCrashKeepsPrefix(t *testing.T) {
	lost, kept := 0, 0
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(3, seed))
		fs := vfs.NewCrashableMem()
		clock := storetest.NewClock()
		o := pebble.Options{FS: fs, Now: clock.Now, MemTableBytes: 64 << 10, IDTable: 50}
		s := open(t, "db", o)
		flushed := int64(-1)
		for n := range 150 {
			crashUpsert(s, t, n)
			if rnd.IntN(30) == 0 {
				if err := s.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				flushed = int64(n)
			}
			if rnd.IntN(30) != 0 {
				continue
			}
			percent := rnd.IntN(3) * 50
			crashed := o
			crashed.FS = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, uint64(n)))})
			again := open(t, "db", crashed)
			mark := checkCrashed(t, again)
			if mark < flushed {
				t.Errorf("mark %d after a crash, but %d was flushed", mark, flushed)
			}
			lost += n - int(mark)
			kept += int(mark - flushed)
			for i := int(mark) + 1; i <= n; i++ { // the log replays the tail
				crashUpsert(again, t, i)
			}
			if got := checkCrashed(t, again); got != int64(n) {
				t.Errorf("mark %d after the replay, want %d", got, n)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if lost == 0 || kept == 0 {
		t.Errorf("the crashes lost %d batches and kept %d unflushed ones: this test needs both", lost, kept)
	}
}

// upsertForEver is the process that TestKill kills.
func upsertForEver(dir string) error {
	clock := storetest.NewClock()
	s, err := pebble.Open(dir, pebble.Options{Now: clock.Now, MemTableBytes: 64 << 10, IDTable: 50})
	if err != nil {
		return err
	}
	mark, err := s.Mark(context.Background(), crashConsumer, 0)
	if err != nil {
		return err
	}
	for n := int(mark) + 1; ; n++ {
		if err := s.Upsert(context.Background(), crashBatch(n), crashMark(n)); err != nil {
			return err
		}
		fmt.Printf("applied %d\n", n)
		if n%40 == 39 {
			if err := s.Flush(context.Background()); err != nil {
				return err
			}
			fmt.Printf("flushed %d\n", n)
		}
	}
}

// TestKill kills a real process while it writes, again and again on the same folder.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	flushed, applied := -1, -1
	for round := range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killChild+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := applied + 20 + rand.IntN(120)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			_, _ = fmt.Sscanf(lines.Text(), "flushed %d", &flushed)
			if n, _ := fmt.Sscanf(lines.Text(), "applied %d", &applied); n == 1 && applied >= kill {
				break
			}
			if strings.HasPrefix(lines.Text(), "---") {
				t.Fatalf("the child ended: %s", lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(out) // what it wrote before it died
		for line := range strings.Lines(string(rest)) {
			_, _ = fmt.Sscanf(line, "flushed %d", &flushed)
		}
		_ = cmd.Wait() // killed
		clock := storetest.NewClock()
		s := open(t, dir, pebble.Options{Now: clock.Now, IDTable: 70})
		mark := checkCrashed(t, s)
		if mark < int64(flushed) {
			t.Errorf("round %d: mark %d, but %d was flushed", round, mark, flushed)
		}
		applied = int(mark)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
