package stream

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/disk"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/telemetry"
)

const (
	realChild = "WEIR_STREAM_REAL_CHILD"
	realRound = "WEIR_STREAM_REAL_ROUND"
)

func openReal(t *testing.T, dir string) (*disk.Log, *pebble.Store) {
	t.Helper()
	log, st, err := openLogAndStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return log, st
}

func openLogAndStore(dir string) (*disk.Log, *pebble.Store, error) {
	log, err := disk.Open(filepath.Join(dir, "log"), disk.Options{Partitions: recordParts, SegmentBytes: 1 << 20})
	if err != nil {
		return nil, nil, err
	}
	st, err := pebble.Open(filepath.Join(dir, "store"), pebble.Options{MemTableBytes: 256 << 10, IDTable: 300})
	return log, st, err
}

func realHot(log *disk.Log, st *pebble.Store, require func(map[int]int64)) *Hot {
	return NewHot(log, st, HotOptions{BatchBytes: 16 << 10, FlushEvery: 5 * time.Millisecond, Require: func(durable map[int]int64) {
		log.Require("hot", durable)
		require(durable)
	}})
}

// appendAndConsume is the process that TestHotKillRealLog kills: it appends to
// the log for ever while the consumer follows.
func appendAndConsume(dir, round string) error {
	log, st, err := openLogAndStore(dir)
	if err != nil {
		return err
	}
	go func() {
		done := make(chan error, 1)
		for n := 0; ; n++ {
			m := telemetry.Message{DeviceID: fmt.Sprint("d", n%recordDevices), Body: fmt.Appendf(nil, `"%s-%d"`, round, n)}
			if n%2 == 1 {
				m.MessageID = fmt.Sprint(round, "-", n)
			}
			log.Append([]telemetry.Message{m}, func(err error) { done <- err })
			if n%50 == 49 { // an acknowledgement now and then keeps it in bounds
				for range 50 {
					if err := <-done; err != nil {
						fmt.Fprintln(os.Stderr, err)
					}
				}
				fmt.Println("acknowledged", n)
			}
		}
	}()
	return realHot(log, st, func(map[int]int64) {}).Run(context.Background())
}

// TestHotKillRealLog kills a process that appends, consumes and flushes, on the
// real log and the real store: what was acknowledged is in the log, and after
// each restart the store is brought to be what the log is, each record once.
func TestHotKillRealLog(t *testing.T) {
	dir := t.TempDir()
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		acknowledged := killReal(t, dir, round)
		log, st := openReal(t, dir)
		want := catchUp(t, log, st)
		for n := range acknowledged + 1 {
			if key := fmt.Sprintf(`d%d "%d-%d"`, n%recordDevices, round, n); want[key] != 1 {
				t.Fatalf("round %d: the acknowledged %s is %d times in the log", round, key, want[key])
			}
		}
		got := make(map[string]int)
		for d := range recordDevices {
			for _, doc := range read(t, st, fmt.Sprint("d", d)) {
				got[doc.DeviceID+" "+string(doc.Data)]++
			}
		}
		if !maps.Equal(want, got) {
			t.Errorf("round %d: the store is not what the log is: %s", round, cmp.Diff(want, got))
		}
		t.Logf("round %d: %d acknowledged, %d records in all", round, acknowledged+1, len(want))
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killReal starts the child and kills it, at a checkpoint or at any moment; it
// returns the last number that was acknowledged.
func killReal(t *testing.T, dir string, round int) (acknowledged int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), realChild+"="+dir, fmt.Sprint(realRound, "=", round))
	if round%2 == 0 {
		cmd.Env = append(cmd.Env, fmt.Sprint("WEIR_FAILPOINT=hot/checkpoint:", 4+rand.IntN(30)))
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged = -1
	left := 10 + rand.IntN(60)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "acknowledged %d", &acknowledged)
		if left--; left == 0 && round%2 == 1 {
			_ = cmd.Process.Kill() // at its end Wait tells
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatalf("round %d: the child ended by itself", round)
	}
	return acknowledged
}

// catchUp runs the consumer to the end of the log, and returns how often the
// log has what.
func catchUp(t *testing.T, log *disk.Log, st *pebble.Store) map[string]int {
	t.Helper()
	want := make(map[string]int)
	last := make([]int64, recordParts)
	for p := range last {
		last[p] = -1
	}
	for b, err := range log.Read(t.Context(), eventlog.AllFrom(recordParts, eventlog.Oldest()), eventlog.AllFrom(recordParts, eventlog.Latest())) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Messages {
			want[m.DeviceID+" "+string(m.Body)]++
			last[b.Partition] = m.Seq
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := realHot(log, st, func(durable map[int]int64) {
		for p, seq := range last {
			if durable[p] < seq {
				return
			}
		}
		cancel()
	})
	if err := h.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return want
}
