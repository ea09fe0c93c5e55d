package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/blob"
	blobmem "github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/saql"
)

// jobsTest is a node's jobs over one log with one output "out".
type jobsTest struct {
	*Jobs
	log      eventlog.Log
	out      *memOutput
	bucket   blob.Bucket
	required map[string]map[int]int64 // by job
	stop     func()
}

func newJobsTest(t *testing.T, partitions int) *jobsTest {
	jt := &jobsTest{log: logmem.New(logmem.Options{Partitions: partitions}), out: &memOutput{}, bucket: blobmem.New()}
	t.Cleanup(func() { _ = jt.log.Close() })
	return jt
}

// start starts the jobs; a second start is the next process.
func (jt *jobsTest) start(t *testing.T, configured ...JobConfig) {
	t.Helper()
	if jt.stop != nil {
		jt.stop()
	}
	jt.required = map[string]map[int]int64{}
	jt.Jobs = NewJobs(JobsOptions{
		Bucket: jt.bucket, Inputs: map[string]eventlog.Reader{"hub": jt.log}, Outputs: map[string]Output{"out": jt.out},
		Compile: func(c JobConfig) (*Program, error) {
			script, err := saql.Parse(c.Query)
			if err != nil {
				return nil, err
			}
			return Compile(script, Environment{Outputs: []string{"out"}})
		},
		Require: func(job, _ string, durable map[int]int64) { jt.required[job] = durable },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- jt.Run(ctx, configured) }()
	jt.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		jt.stop = nil
	}
	t.Cleanup(func() {
		if jt.stop != nil {
			jt.stop()
		}
	})
	synctest.Wait()
}

func (jt *jobsTest) apply(t *testing.T, query string) Applied {
	t.Helper()
	a, err := jt.Apply(t.Context(), jobConfig(query))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func jobConfig(query string) JobConfig {
	return JobConfig{Name: "j", Query: query, Settings: JobSettings{Policy: DefaultPolicy()}}
}

const (
	tumbling10  = "SELECT System.Timestamp() AS w, COUNT(*) AS c INTO out FROM hub TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)"
	tumbling10v = "SELECT 'v2' AS v, System.Timestamp() AS w, COUNT(*) AS c INTO out FROM hub TIMESTAMP BY t GROUP BY TumblingWindow(second, 10) HAVING COUNT(*) > 0"
	tumbling30  = "SELECT System.Timestamp() AS w, SUM(n) AS s INTO out FROM hub TIMESTAMP BY t GROUP BY TumblingWindow(second, 30)"
	passN       = "SELECT n INTO out FROM hub TIMESTAMP BY t WHERE n >= 0"
)

// TestApply replaces a running job again and again, by versions that keep the
// same state, another state, and are spread over another number of shards: each
// version's rows are those that it makes of the whole log, from the moment at
// which the one before ended to its own end.
func TestApply(t *testing.T) {
	versions := []struct {
		query string
		how   How
	}{
		{tumbling10, Started}, {tumbling10, Unchanged}, {tumbling10v, Continued}, {tumbling30, Replayed},
		{passN, Replayed}, {tumbling30, Replayed}, {passN, Replayed}, {strings.Replace(passN, ">=", ">", 1), Continued},
	}
	for _, partitions := range []int{1, 3} {
		t.Run(fmt.Sprint(partitions, " partitions"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				jt := newJobsTest(t, partitions)
				jt.start(t)
				var programs []*Program
				var ends []int
				var marks []time.Time
				for i, v := range versions {
					synctest.Wait()
					before, _ := jt.Job("j")
					marks = append(marks, before.Stats.Watermark)
					asked := len(jt.out.begins())
					if a := jt.apply(t, v.query); a.How != v.how || a.Created != (i == 0) {
						t.Errorf("version %d: %+v, want %s", i, a, v.how)
					}
					status, err := jt.Job("j")
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					end := len(jt.out.rows())
					if v.how != Unchanged {
						end = jt.out.begins()[asked] // the new version may have written since
					}
					ends = append(ends, end)
					programs = append(programs, status.Program)
					fill(t, jt.log, 45*i, 45)
				}
				time.Sleep(time.Minute)
				jt.stop()
				checkVersions(t, jt, programs, append(ends, len(jt.out.rows())), marks)
			})
		})
	}
}

// checkVersions has the rows of each version follow those of the one before.
func checkVersions(t *testing.T, jt *jobsTest, programs []*Program, ends []int, marks []time.Time) {
	t.Helper()
	all := jt.out.rows()
	for i, p := range programs {
		own := slices.Clone(all[ends[i]:ends[i+1]])
		if n, _ := jt.log.Partitions(t.Context()); n > 1 && p.Sharding().PerPartition {
			continue // its shards end at different times: TestApplyLosesNoEvent
		}
		whole := replayed(t, p, jt.log, DefaultPolicy())["out"]
		slices.Sort(own)
		slices.Sort(whole)
		at := slices.Index(whole, own[0])
		if at < 0 || at+len(own) > len(whole) {
			t.Fatalf("version %d begins with %s, which is none of its rows", i, own[0])
		}
		if diff := cmp.Diff(whole[at:at+len(own)], own); diff != "" {
			t.Errorf("version %d: %s", i, diff)
		}
		if at > 0 && whole[at-1][:28] > (saql.TicksOf(marks[i])+1).String() {
			t.Errorf("version %d has no %s; the one before ended at %s", i, whole[at-1], marks[i])
		}
	}
}

// TestApplyLosesNoEvent replaces a filter by itself in other words, which is
// spread otherwise: each event is there once.
func TestApplyLosesNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 3)
		jt.start(t)
		spread := "SELECT n INTO out FROM hub TIMESTAMP BY t"
		one := "SELECT MAX(n) AS n INTO out FROM hub TIMESTAMP BY t GROUP BY n, System.Timestamp()"
		least := strings.Replace(one, "MAX", "MIN", 1)
		for i, query := range []string{spread, one, least, spread, spread + " WHERE n >= 0", one, spread} {
			jt.apply(t, least) // replaced at once
			jt.apply(t, query)
			fill(t, jt.log, 31*i, 31)
			if i == 3 { // a version that is replaced before its first checkpoint
				jt.start(t)
			}
		}
		time.Sleep(time.Minute)
		jt.stop()
		var got []int
		for _, row := range jt.out.rows() {
			var n int
			if _, err := fmt.Sscanf(row[strings.Index(row, "{"):], `{"n":%d}`, &n); err != nil {
				t.Fatal(row, err)
			}
			got = append(got, n)
		}
		slices.Sort(got)
		want := make([]int, 7*31)
		for i := range want {
			want[i] = i
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestApplyRefused lets the old version go on.
func TestApplyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 2)
		jt.start(t)
		jt.apply(t, passN)
		for _, query := range []string{"SELEKT", "SELECT n INTO nowhere FROM hub", "SELECT n INTO out FROM bub"} {
			if a, err := jt.Apply(t.Context(), jobConfig(query)); err == nil {
				t.Errorf("%s: %+v", query, a)
			}
		}
		c := jobConfig(passN)
		c.Name = "../j"
		if _, err := jt.Apply(t.Context(), c); !errors.Is(err, ErrJobName) {
			t.Errorf("a bad name: %v", err)
		}
		fill(t, jt.log, 0, 20)
		time.Sleep(20 * time.Second)
		if s, err := jt.Job("j"); err != nil || s.State != JobRunning || s.Stats.Rows != 20 || s.Query != passN {
			t.Errorf("%+v, %v", s, err)
		}
		if all := jt.List(); len(all) != 1 {
			t.Errorf("%+v", all)
		}
	})
}

// TestApplyWaitsForOutput does not replace a version whose rows cannot be written.
func TestApplyWaitsForOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 1)
		jt.start(t)
		jt.apply(t, passN)
		broken := errors.New("no connection")
		jt.out.set(func([]OutputRow) error { return broken })
		fill(t, jt.log, 0, 20)
		if _, err := jt.Apply(t.Context(), jobConfig(tumbling10)); !errors.Is(err, broken) {
			t.Errorf("Apply: %v", err)
		}
		jt.out.set(nil)
		time.Sleep(time.Minute)
		if s, _ := jt.Job("j"); s.State != JobRunning || s.Query != passN || len(jt.out.rows()) != 20 {
			t.Errorf("%+v, %d rows", s, len(jt.out.rows()))
		}
	})
}

// TestJobsSurviveRestart has the applied text until the configuration changes.
func TestJobsSurviveRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 2)
		configured := jobConfig(tumbling10)
		text := func() string {
			t.Helper()
			s, err := jt.Job("j")
			if err != nil || s.State != JobRunning {
				t.Errorf("%+v, %v", s, err)
			}
			return s.Query
		}
		jt.start(t, configured)
		jt.apply(t, tumbling30)
		jt.start(t, configured)
		if text() != tumbling30 {
			t.Error("the applied text is gone after a restart")
		}
		configured.Query = passN
		jt.start(t, configured)
		if text() != passN {
			t.Error("the newer configuration does not count")
		}
		jt.start(t)
		if _, err := jt.Job("j"); !errors.Is(err, ErrNoJob) {
			t.Errorf("a job that is no longer configured: %v", err)
		}
		jt.stop()
		jt.Jobs = nil
		other := jobConfig("SELECT n FROM hub")
		if err := NewJobs(JobsOptions{Bucket: jt.bucket, Compile: func(JobConfig) (*Program, error) { return nil, errDead }}).Run(t.Context(), []JobConfig{other}); !errors.Is(err, errDead) {
			t.Errorf("a configured job that does not compile: %v", err)
		}
	})
}

// TestJobsStopStartRemove stops a job, also over a restart, and lets it go on
// where it was; a removed one leaves nothing.
func TestJobsStopStartRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 2)
		jt.start(t)
		jt.apply(t, tumbling10)
		fill(t, jt.log, 0, 25)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(jt.Stop(t.Context(), "j"))
		if jt.required["j"][0] != math.MaxInt64 || jt.required["j"][1] != math.MaxInt64 {
			t.Errorf("a stopped job needs %v of the log", jt.required)
		}
		before := len(jt.out.rows())
		jt.start(t)
		fill(t, jt.log, 25, 25)
		if s, err := jt.Job("j"); err != nil || s.State != JobStopped || len(jt.out.rows()) != before {
			t.Errorf("%+v, %v, %d rows", s, err, len(jt.out.rows()))
		}
		must(jt.Start(t.Context(), "j"))
		time.Sleep(time.Minute)
		s, err := jt.Job("j")
		must(err)
		if diff := cmp.Diff(replayed(t, s.Program, jt.log, DefaultPolicy())["out"], jt.out.rows()); diff != "" {
			t.Error(diff)
		}
		must(jt.Remove(t.Context(), "j"))
		for name := range jt.bucket.List(t.Context(), "") {
			t.Errorf("%s is left", name)
		}
		for _, err := range []error{jt.Stop(t.Context(), "j"), jt.Start(t.Context(), "j"), jt.Remove(t.Context(), "j")} {
			if !errors.Is(err, ErrNoJob) {
				t.Errorf("after the removal: %v", err)
			}
		}
	})
}

// TestApplyWhileRemoved has an Apply wait while the job is removed: it makes the
// job anew, and lists it.
func TestApplyWhileRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 1)
		jt.start(t)
		jt.apply(t, passN)
		e, err := jt.entry("j") // as a Remove begins
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := jt.Apply(t.Context(), jobConfig(passN))
			ended <- err
		}()
		for range 1000 { // Apply finds the old entry
			runtime.Gosched()
		}
		_ = jt.halt(e)
		jt.mu.Lock()
		delete(jt.entries, "j")
		jt.mu.Unlock()
		e.change.Unlock()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		fill(t, jt.log, 0, 20)
		time.Sleep(time.Minute)
		if s, err := jt.Job("j"); err != nil || s.State != JobRunning || len(jt.out.rows()) != 20 {
			t.Errorf("%v, %s, %d rows", err, s.State, len(jt.out.rows()))
		}
	})
}

// TestApplyAfterFailure mends the query of a job that it has stopped: the new
// version has rows of its own for the events behind the last checkpoint, and
// none of them is taken for one that the old version has written. After that it
// goes on as ever, also from a crash.
func TestApplyAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 1)
		jt.start(t)
		c := jobConfig("SELECT 1 / (20 - n) AS q, n INTO out FROM hub")
		c.Settings.StopOnError = true
		if _, err := jt.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		fill(t, jt.log, 0, 25)
		if s, _ := jt.Job("j"); s.State != JobFailed || len(jt.out.rows()) != 20 {
			t.Fatalf("%+v, %d rows", s, len(jt.out.rows()))
		}
		c.Query = "SELECT 'mended' AS v, n INTO out FROM hub WHERE n > 18"
		if a, err := jt.Apply(t.Context(), c); err != nil || a.How != Replayed {
			t.Errorf("%+v, %v", a, err)
		}
		fill(t, jt.log, 25, 5)
		jt.start(t)
		fill(t, jt.log, 30, 5)
		time.Sleep(time.Minute)
		jt.stop()
		all := strings.Join(jt.out.rows(), "\n")
		for n := 19; n < 35; n++ {
			if strings.Count(all, fmt.Sprintf(`"v":"mended","n":%d}`, n)) != 1 {
				t.Errorf("%d is not there once:\n%s", n, all)
			}
		}
	})
}

// TestShutdownKeepsLog ends the node while an output is down: the job has not
// failed, and the log keeps what it needs.
func TestShutdownKeepsLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jt := newJobsTest(t, 1)
		jt.start(t)
		jt.apply(t, passN)
		jt.out.set(func([]OutputRow) error { return errors.New("no connection") })
		fill(t, jt.log, 0, 20)
		jt.stop()
		s, err := jt.Job("j")
		if err != nil || s.State == JobFailed || jt.required["j"][0] >= 20 {
			t.Errorf("%v, %s, the log keeps what is behind %v", err, s.State, jt.required)
		}
		jt.out.set(nil)
		jt.start(t)
		time.Sleep(time.Minute)
		if n := len(jt.out.rows()); n != 20 {
			t.Errorf("%d rows", n)
		}
	})
}
