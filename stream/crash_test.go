package stream

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/telemetry"
)

const (
	childDir      = "WEIR_STREAM_CHILD"
	recordDevices = 5
	recordParts   = 3
	recordsEach   = 20000
)

var recordBase = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// recordLog is a log that no crash can hurt, as its records are computed:
// recordsEach in each partition, then it waits.
type recordLog struct{}

func (recordLog) Partitions(context.Context) (int, error) { return recordParts, nil }

// record is one of them: single values and arrays, with and without an id.
func record(p int, seq int64) telemetry.Message {
	m := telemetry.Message{
		DeviceID: fmt.Sprint("d", seq%recordDevices), Partition: p, Seq: seq,
		EnqueuedAt: recordBase.Add(time.Duration(seq) * time.Millisecond), Body: fmt.Appendf(nil, `{"p":%d,"n":%d}`, p, seq),
	}
	if seq%4 == 1 {
		m.MessageID = fmt.Sprintf("m-%d-%d", p, seq)
	}
	if seq%7 == 2 {
		m.Body = fmt.Appendf(nil, `[{"p":%d,"n":%d},2,3]`, p, seq)
	}
	return m
}

// rowsUpTo is the number of documents of the records 0 to last.
func rowsUpTo(last int64) (n int) {
	for seq := range last + 1 {
		n++
		if seq%7 == 2 {
			n += 2
		}
	}
	return n
}

func (recordLog) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		next := make([]int64, recordParts)
		for p, at := range from {
			if at.Kind == eventlog.KindAfter {
				next[p] = at.Seq + 1
			}
		}
		for more := true; more; {
			more = false
			for p := range next {
				var msgs []telemetry.Message
				for ; next[p] < recordsEach && len(msgs) < 50; next[p]++ {
					msgs = append(msgs, record(p, next[p]))
				}
				more = more || len(msgs) > 0
				if !yield(eventlog.Batch{Partition: p, Messages: msgs}, nil) {
					return
				}
			}
		}
		<-ctx.Done()
		yield(eventlog.Batch{}, ctx.Err())
	}
}

func crashStore(t *testing.T, dir string) *pebble.Store {
	t.Helper()
	st, err := openCrashStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func openCrashStore(dir string) (*pebble.Store, error) {
	return pebble.Open(dir, pebble.Options{MemTableBytes: 256 << 10})
}

func crashHot(st store.Store, require func(map[int]int64)) *Hot {
	return NewHot(recordLog{}, st, HotOptions{BatchBytes: 8 << 10, FlushEvery: time.Millisecond, TTL: 50 * 365 * 24 * time.Hour, Require: require})
}

// checkOnce has each record up to its partition's mark in the store once, and
// nothing else there.
func checkOnce(t *testing.T, st store.Store) (marks []int64) {
	t.Helper()
	want := 0
	for p := range recordParts {
		mark, err := st.Mark(t.Context(), "hot", p)
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, mark)
		want += rowsUpTo(mark)
	}
	ids, got := make(map[string]bool), 0
	for d := range recordDevices {
		device := fmt.Sprint("d", d)
		for _, doc := range read(t, st, device) {
			got++
			if ids[device+doc.ID] {
				t.Errorf("%s %s is there twice", device, doc.ID)
			}
			ids[device+doc.ID] = true
			var p int
			var n int64
			if k, _ := fmt.Sscanf(string(doc.Data), `{"p":%d,"n":%d}`, &p, &n); k == 2 && (n > marks[p] || n%recordDevices != int64(d)) {
				t.Errorf("record %d of partition %d is under device %s with mark %d", n, p, device, marks[p])
			}
		}
	}
	if got != want {
		t.Errorf("%d documents, want %d for the marks %v", got, want, marks)
	}
	return marks
}

// TestMain makes the test binary a process to kill where a test asks for one.
func TestMain(m *testing.M) {
	var err error
	if dir := os.Getenv(childDir); dir != "" {
		err = consume(dir)
	} else if dir := os.Getenv(realChild); dir != "" {
		err = appendAndConsume(dir, os.Getenv(realRound))
	} else {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, "the child ended:", err)
	os.Exit(1)
}

// consume is the process that TestHotKill kills.
func consume(dir string) error {
	st, err := openCrashStore(dir)
	if err != nil {
		return err
	}
	return crashHot(st, func(durable map[int]int64) { fmt.Println("durable", durable[0], durable[1], durable[2]) }).Run(context.Background())
}

// TestHotKill kills a real process again and again on the same store, at random
// moments and at the checkpoint's failpoint: each record is there once, and
// what the log was told to be durable is.
func TestHotKill(t *testing.T) {
	dir := t.TempDir()
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		if round%2 == 0 {
			cmd.Env = append(cmd.Env, fmt.Sprintf("WEIR_FAILPOINT=hot/checkpoint:%d", 1+rand.IntN(6)))
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		durable := make([]int64, recordParts)
		left := 2 + rand.IntN(4)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			_, _ = fmt.Sscanf(lines.Text(), "durable %d %d %d", &durable[0], &durable[1], &durable[2])
			if left--; left == 0 && round%2 == 1 {
				_ = cmd.Process.Kill() // at its end Wait tells
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatalf("round %d: the child ended by itself", round)
		}
		st := crashStore(t, dir)
		marks := checkOnce(t, st)
		t.Logf("round %d: killed at %v, told %v", round, marks, durable)
		for p, seq := range durable {
			if marks[p] < seq {
				t.Errorf("round %d: mark %d of partition %d, but the log was told %d", round, marks[p], p, seq)
			}
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	st := crashStore(t, dir)
	defer st.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := crashHot(st, func(durable map[int]int64) {
		if durable[0] == recordsEach-1 && durable[1] == recordsEach-1 && durable[2] == recordsEach-1 {
			cancel()
		}
	})
	if err := h.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for p, mark := range checkOnce(t, st) {
		if mark != recordsEach-1 {
			t.Errorf("partition %d ended at %d", p, mark)
		}
	}
}
