package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// fill appends n events of seven devices, one a second.
func fill(t *testing.T, log eventlog.Log, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		time.Sleep(time.Second)
		m := telemetry.Message{DeviceID: fmt.Sprint("d", i%7), Body: fmt.Appendf(nil, `{"n":%d,"v":%d.5,"t":%q}`, i, i%10, time.Now().UTC().Add(-time.Duration(i%4)*time.Second).Format(time.RFC3339))}
		log.Append([]telemetry.Message{m}, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// windows keeps state: a tumbling window over all partitions, and a filter.
const windows = `
SELECT System.Timestamp() AS w, COUNT(*) AS c, SUM(n) AS s INTO counts FROM hub TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)
SELECT n INTO some FROM hub TIMESTAMP BY t WHERE n % 3 = 0`

// replayed returns what a program makes of the whole log, by output.
func replayed(t *testing.T, p *Program, log eventlog.Reader, policy Policy) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	r := &Replay{Program: p, Policy: &policy, Row: func(o OutputPlan, row *saql.Row) error {
		all[o.Name] = append(all[o.Name], fmt.Sprintf("%s %s", row.Time, o.Schema.AppendJSON(nil, row.Values)))
		return nil
	}}
	inputs := map[string]Past{}
	for _, in := range p.Inputs() {
		inputs[in.Alias] = Past{log, eventlog.Oldest(), eventlog.Latest()}
	}
	if _, err := r.Log(t.Context(), inputs); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestJob runs a job with two outputs over a log of four partitions: live rows
// are those of a replay, and a stop and a start change nothing.
func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 4})
		defer log.Close()
		jt := newJobTest(t, log, windows)
		for round := range 4 {
			stop := start(t, jt.job(t))
			fill(t, log, 50*round, 50)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		j := jt.job(t)
		stop := start(t, j)
		time.Sleep(time.Minute) // idle: the last windows close
		want := replayed(t, jt.o.Program, log, jt.o.Policy)
		for name, out := range jt.out {
			if diff := cmp.Diff(want[name], out.rows()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if len(want["counts"]) < 20 || len(want["some"]) != 67 {
			t.Errorf("%d and %d rows", len(want["counts"]), len(want["some"]))
		}
		s := j.Stats()
		if s.Delay > 10*time.Second || s.LastError != nil || len(s.Feeds) != 4 || s.StateBytes == 0 || s.Checkpoint.IsZero() {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestJobPerPartition runs a program that needs no other partition in one shard
// for each.
func TestJobPerPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 4})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO some FROM hub WHERE n % 3 = 0")
		j := jt.job(t)
		stop := start(t, j)
		fill(t, log, 0, 100)
		time.Sleep(5 * time.Second)
		if s := j.Stats(); s.Shards != 4 || s.Events != 100 || s.Rows != 34 {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		want := replayed(t, jt.o.Program, log, jt.o.Policy)["some"]
		slices.Sort(want)
		if diff := cmp.Diff(want, jt.out["some"].sorted()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestJobCrashes kills a job at random moments, and outputs lose what they had
// not flushed: the rows are those of an undisturbed run, each once.
func TestJobCrashes(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			log := logmem.New(logmem.Options{Partitions: 1 + r.IntN(4)})
			defer log.Close()
			query := windows
			if r.IntN(3) == 0 {
				query = "SELECT n INTO some FROM hub TIMESTAMP BY t WHERE n % 3 = 0"
			}
			jt := newJobTest(t, log, query)
			jt.o.Policy.OutOfOrder = time.Duration(r.IntN(3)) * time.Second
			jt.o.CheckpointEvery = time.Duration(1+r.IntN(20)) * time.Second
			jt.o.BatchBytes = 1 + r.IntN(200)
			for round := range 6 {
				crash(t, r, jt, func() { fill(t, log, 40*round, 40) })
			}
			stop := start(t, jt.job(t))
			time.Sleep(time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			for name, want := range replayed(t, jt.o.Program, log, jt.o.Policy) {
				slices.Sort(want)
				if diff := cmp.Diff(want, jt.out[name].sorted()); diff != "" {
					t.Fatalf("seed %d: %s: %s", seed, name, diff)
				}
			}
		})
	}
}

// crash runs the job while load runs, and lets it die at some write or checkpoint.
func crash(t *testing.T, r *rand.Rand, jt *jobTest, load func()) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(1 + r.IntN(30)))
	die := func() error {
		if left.Add(-1) <= 0 {
			return errDead
		}
		return nil
	}
	for _, out := range jt.out {
		out.set(func([]OutputRow) error { return die() })
	}
	alive := jt.bucket
	jt.bucket = &dyingBucket{alive, die}
	stop := start(t, jt.job(t))
	load()
	_ = stop() // with errors, where it had died
	jt.bucket = alive
	for _, out := range jt.out {
		out.crash(r)
	}
	jt.dead.crash(r)
}

// TestJobDeadLetters keeps what cannot be used, with the reason, once.
func TestJobDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 1})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT 10 / n AS q INTO out FROM hub")
		var logged strings.Builder
		jt.o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		for _, body := range []string{`{"n":1}`, `{"n":0}`, `{"n":`, `{"n":"x"}`, `[{"n":2},3,{"n":5}]`, `{"n":0}`} {
			log.Append([]telemetry.Message{{DeviceID: "d", Body: []byte(body)}}, func(error) {})
		}
		for range 2 {
			stop := start(t, jt.job(t))
			time.Sleep(time.Second)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, row := range jt.out["out"].rows() {
			got = append(got, row[strings.Index(row, "{"):])
		}
		if diff := cmp.Diff([]string{`{"q":10}`, `{"q":5}`, `{"q":2}`}, got); diff != "" {
			t.Error(diff)
		}
		dead := strings.Join(jt.dead.rows(), "\n")
		for _, part := range []string{`"cause":"row"`, `"seq":1`, `"cause":"body"`, `"seq":2`, `"seq":4,"index":1`, `"seq":5`, `"at":"1:11"`, `"job":"job"`} {
			if !strings.Contains(dead, part) {
				t.Errorf("no %s in the dead letters:\n%s", part, dead)
			}
		}
		if n := len(jt.dead.rows()); n != 5 {
			t.Errorf("%d dead letters, want 5:\n%s", n, dead)
		}
		if n := strings.Count(logged.String(), "dead letter"); n != 2 {
			t.Errorf("logged %d times, want once per cause:\n%s", n, &logged)
		}
	})
}

// TestJobStopsOnError ends at the first row that the query fails on, every time.
func TestJobStopsOnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 1})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT 10 / n AS q INTO out FROM hub")
		jt.o.StopOnError = true
		for _, n := range []int{1, 2, 0, 5} {
			log.Append([]telemetry.Message{{DeviceID: "d", Body: fmt.Appendf(nil, `{"n":%d}`, n)}}, func(error) {})
		}
		for range 2 {
			j := jt.job(t)
			err := j.Run(t.Context())
			if !errors.Is(err, ErrJobFailed) || !strings.Contains(err.Error(), "record 2") || !errors.Is(j.Stats().LastError, ErrJobFailed) {
				t.Errorf("Run ended with %v; shown is %v", err, j.Stats().LastError)
			}
		}
		if got := jt.out["out"].rows(); len(got) != 2 {
			t.Errorf("%q", got)
		}
	})
}

// TestJobOutputFails has an output that fails for a while, and refuses a row
// for good: the job waits for the one, and drops the other or waits.
func TestJobOutputFails(t *testing.T) {
	for _, drop := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			log := logmem.New(logmem.Options{Partitions: 1})
			defer log.Close()
			jt := newJobTest(t, log, "SELECT n INTO out FROM hub")
			jt.o.DropRefused = drop
			fill(t, log, 0, 20)
			broken := errors.New("no connection")
			jt.out["out"].set(func([]OutputRow) error { return broken })
			j := jt.job(t)
			stop := start(t, j)
			time.Sleep(time.Minute)
			if err := j.Stats().LastError; !errors.Is(err, broken) {
				t.Errorf("shown is %v", err)
			}
			jt.out["out"].set(func(rows []OutputRow) error {
				for _, r := range rows {
					if strings.Contains(string(r.Data), `:7}`) {
						return fmt.Errorf("%w: seven", ErrRefused)
					}
				}
				return nil
			})
			time.Sleep(time.Minute)
			got, dead, shown := jt.out["out"].rows(), jt.dead.rows(), j.Stats().LastError
			if drop && (len(got) != 19 || len(dead) != 1 || shown != nil || !strings.Contains(dead[0], "seven")) {
				t.Errorf("%d rows, dead letters %q, shown is %v", len(got), dead, shown)
			}
			if !drop && (len(got) != 7 || len(dead) != 0 || !errors.Is(shown, ErrRefused)) {
				t.Errorf("%d rows, dead letters %q, shown is %v", len(got), dead, shown)
			}
			jt.out["out"].set(nil)
			time.Sleep(time.Minute)
			if !drop && len(jt.out["out"].rows()) != 20 {
				t.Errorf("%d rows at the end", len(jt.out["out"].rows()))
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestJobTakenOver ends when another process has saved a checkpoint.
func TestJobTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 1})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO out FROM hub")
		first := start(t, jt.job(t))
		fill(t, log, 0, 5)
		second := start(t, jt.job(t))
		fill(t, log, 5, 100)
		a, b := first(), second()
		if !errors.Is(errors.Join(a, b), ErrTakenOver) || a == nil == (b == nil) {
			t.Errorf("the two ended with %v and %v", a, b)
		}
	})
}

// TestJobAfterLoss has an output that lost all it had: the job begins anew with
// the oldest record and says so.
func TestJobAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 2})
		defer log.Close()
		jt := newJobTest(t, log, windows)
		stop := start(t, jt.job(t))
		fill(t, log, 0, 50)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		jt.out["some"] = &memOutput{}
		var logged strings.Builder
		jt.o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		stop = start(t, jt.job(t))
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(replayed(t, jt.o.Program, log, jt.o.Policy)["some"], jt.out["some"].rows()); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(logged.String(), "begins anew") {
			t.Errorf("logged:\n%s", &logged)
		}
	})
}

// TestJobFromNow starts behind what is there, and stays there through restarts
// before its first event.
func TestJobFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logmem.New(logmem.Options{Partitions: 2})
		defer log.Close()
		jt := newJobTest(t, log, "SELECT n INTO out FROM hub")
		jt.o.From = eventlog.Latest()
		var required []map[int]int64
		jt.o.Require = func(_ string, durable map[int]int64) { required = append(required, durable) }
		fill(t, log, 0, 50)
		time.Sleep(time.Second)
		for _, d := range []time.Duration{0, 10 * time.Second, 10 * time.Second} {
			stop := start(t, jt.job(t))
			synctest.Wait()
			time.Sleep(d)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		}
		fill(t, log, 50, 10)
		stop := start(t, jt.job(t))
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := jt.out["out"].rows(); len(got) != 10 || !strings.Contains(strings.Join(got, ""), `"n":50`) {
			t.Errorf("%q", got)
		}
		if last := required[len(required)-1]; last[0]+last[1] < 49 {
			t.Errorf("the log must keep what is behind %v", required)
		}
	})
}
