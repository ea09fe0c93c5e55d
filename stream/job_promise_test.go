package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/telemetry"
)

// say appends one event.
func say(t *testing.T, log eventlog.Log, device, body string) {
	t.Helper()
	log.Append([]telemetry.Message{{DeviceID: device, Body: []byte(body)}}, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
}

// TestJobAfterRefusal restarts behind a row that the output refused, the last
// that there is: the output lacks nothing.
func TestJobAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 1})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO out FROM hub")
		jt.o.DropRefused = true
		jt.out["out"].set(func(rows []OutputRow) error {
			for _, r := range rows {
				if strings.Contains(string(r.Data), `:4}`) {
					return fmt.Errorf("%w: four", ErrRefused)
				}
			}
			return nil
		})
		for _, from := range []int{0, 5, 5} {
			stop := start(t, jt.job(t))
			fill(t, log, from, 5)
			time.Sleep(time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		if got := jt.out["out"].rows(); len(got) != 14 {
			t.Errorf("%d rows, want 4, 5 and 5 again:\n%s", len(got), strings.Join(got, "\n"))
		}
	})
}

// TestJobDeadLettersInOrder has a window fail between two bodies that are no
// rows: dead letters come in the order of time, whether the job was there when
// they came or read them at once later.
func TestJobDeadLettersInOrder(t *testing.T) {
	var runs [2]string
	for i := range runs {
		synctest.Test(t, func(t *testing.T) {
			log := logmem.New(logmem.Options{Partitions: 1})
			defer log.Close()
			jt := newJobTest(t, log, "SELECT COUNT(*) AS c INTO out FROM hub GROUP BY TumblingWindow(second, 10) HAVING 1 / (COUNT(*) - 1) > 0")
			stop := func() error { return nil }
			if i == 0 {
				stop = start(t, jt.job(t))
			}
			for _, body := range []string{`{"n":`, `{"n":1}`, `[1,2`} {
				say(t, log, "d", body)
				time.Sleep(15 * time.Second)
			}
			if i > 0 {
				stop = start(t, jt.job(t))
			}
			time.Sleep(time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			runs[i] = strings.Join(jt.dead.rows(), "\n")
		})
	}
	if runs[0] != runs[1] || strings.Count(runs[0], "\n") != 2 {
		t.Errorf("first:\n%s\nthen:\n%s", runs[0], runs[1])
	}
}

// lostAnswer swaps, and loses the answer of the first swap of a checkpoint.
type lostAnswer struct {
	blob.Bucket
	lost bool
}

func (b *lostAnswer) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	version, err := b.Bucket.Swap(ctx, name, old, r)
	if strings.Contains(name, "/state/") && !b.lost {
		b.lost = true
		return blob.Absent, errors.New("connection reset")
	}
	return version, err
}

// TestJobCheckpointAnswerLost goes on where a checkpoint was saved, but the
// answer did not come.
func TestJobCheckpointAnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 1})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO out FROM hub")
		bucket := &lostAnswer{Bucket: jt.bucket}
		jt.bucket = bucket
		for i := range 2 {
			stop := start(t, jt.job(t))
			fill(t, log, 60*i, 60)
			time.Sleep(time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		if got := jt.out["out"].rows(); !bucket.lost || len(got) != 120 {
			t.Errorf("%d rows", len(got))
		}
	})
}

// failingLog fails to be read while broken.
type failingLog struct {
	eventlog.Log
	broken *atomic.Bool
}

func (l failingLog) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range l.Log.Read(ctx, from, until) {
			if l.broken.Load() {
				b, err = eventlog.Batch{}, errors.New("a bad sector")
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// TestJobShowsWhatFails shows an output that fails as long as it does, whatever
// the other outputs and shards do, logs it once, and nothing once all is well.
func TestJobShowsWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		log := failingLog{logmem.New(logmem.Options{Partitions: 3}), &broken}
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO a FROM hub SELECT n INTO b FROM hub WHERE n % 7 = 3")
		jt.o.CheckpointEvery = time.Second
		var logged strings.Builder
		jt.o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		fails := errors.New("no connection")
		jt.out["b"].set(func([]OutputRow) error { return fails })
		j := jt.job(t)
		stop := start(t, j)
		for i := range 60 {
			fill(t, log, i, 1)
			if i > 10 && !errors.Is(j.Stats().LastError, fails) {
				t.Fatalf("after %d s the error is %v", i, j.Stats().LastError)
			}
		}
		jt.out["b"].set(nil)
		broken.Store(true)
		fill(t, log, 60, 10)
		if err := j.Stats().LastError; err == nil || !strings.Contains(err.Error(), "bad sector") {
			t.Errorf("the error is %v", err)
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		if err := j.Stats().LastError; err != nil {
			t.Errorf("all is well, yet the error is %v", err)
		}
		if n := strings.Count(logged.String(), "no connection"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &logged)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestJobLetsGo needs nothing more of a log that gives nothing more, not even
// the time, as one that is full: neither of its two checkpoints does.
func TestJobLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 1, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO out FROM hub")
		var required int64
		saved := 0
		jt.o.Require = func(_ string, durable map[int]int64) { required, saved = durable[0], saved+1 }
		for range 10 {
			say(t, log, "d", `{"n":1}`)
		}
		stop := start(t, jt.job(t))
		time.Sleep(10 * time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if required != 9 || saved > 4 {
			t.Errorf("it needs what is behind %d, and has saved %d times", required, saved)
		}
	})
}
