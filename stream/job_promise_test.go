package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
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
			stop := runJob(t, jt.job(t))
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
				stop = runJob(t, jt.job(t))
			}
			for _, body := range []string{`{"n":`, `{"n":1}`, `[1,2`} {
				say(t, log, "d", body)
				time.Sleep(15 * time.Second)
			}
			if i > 0 {
				stop = runJob(t, jt.job(t))
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
			stop := runJob(t, jt.job(t))
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
