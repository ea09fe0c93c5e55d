package output_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/blob/dir"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/disk"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/stream/output"
	"github.com/weir-iot/weir/telemetry"
)

// The jobs of the crash test: windows and LAG over all partitions in one shard,
// and a filter in a shard of each partition.
var crashJobs = map[string]string{
	"windows": `
		SELECT deviceId, System.Timestamp() AS w, COUNT(*) AS c, MIN(n) AS first, MAX(n) AS last INTO rows FROM hub TIMESTAMP BY t GROUP BY deviceId, TumblingWindow(millisecond, 500)
		SELECT n, LAG(n) OVER (LIMIT DURATION(hour, 1)) AS before INTO lines FROM hub TIMESTAMP BY t WHERE n % 7 = 0`,
	"filter": "SELECT deviceId, n, 10 / (n % 50) AS q INTO rows FROM hub TIMESTAMP BY t WHERE n % 5 = 0",
}

const (
	crashDir     = "WEIR_OUTPUT_CHILD"
	crashRound   = "WEIR_OUTPUT_ROUND"
	crashParts   = 3
	crashDevices = 5
)

var crashPolicy = stream.Policy{Late: time.Second, OutOfOrder: 20 * time.Millisecond}

// TestMain makes the test binary a process to kill where a test asks for one.
func TestMain(m *testing.M) {
	folder := os.Getenv(crashDir)
	if folder == "" {
		os.Exit(m.Run())
	}
	n, err := openCrashNode(folder)
	if err == nil {
		err = n.load(os.Getenv(crashRound))
	}
	fmt.Fprintln(os.Stderr, "the child ended:", err)
	os.Exit(1)
}

// crashNode is a real log, a real store, a file and the jobs between.
type crashNode struct {
	log   *disk.Log
	store *pebble.Store
	file  *output.File
	jobs  map[string]*stream.Job
	// durable gets what a job needs no more, by its checkpoints.
	durable func(job string, positions map[int]int64)
}

func openCrashNode(folder string) (n *crashNode, err error) {
	n = &crashNode{jobs: map[string]*stream.Job{}, durable: func(string, map[int]int64) {}}
	if n.log, err = disk.Open(filepath.Join(folder, "log"), disk.Options{Partitions: crashParts, SegmentBytes: 1 << 20}); err != nil {
		return nil, err
	}
	if n.store, err = pebble.Open(filepath.Join(folder, "store"), pebble.Options{MemTableBytes: 256 << 10}); err != nil {
		return nil, err
	}
	if n.file, err = output.OpenFile(filepath.Join(folder, "lines.jsonl")); err != nil {
		return nil, err
	}
	bucket, err := dir.Open(filepath.Join(folder, "checkpoints"))
	if err != nil {
		return nil, err
	}
	for name, query := range crashJobs {
		p, err := compileCrash(query)
		if err != nil {
			return nil, err
		}
		n.jobs[name], err = stream.NewJob(stream.JobOptions{
			Name: name, Program: p, Bucket: bucket, Policy: crashPolicy, BatchBytes: 4 << 10, CheckpointEvery: 30 * time.Millisecond,
			Inputs:  map[string]eventlog.Reader{"hub": n.log},
			Outputs: map[string]stream.Output{"rows": output.NewStore(n.store, forever), "lines": n.file},
			Dead:    output.NewDeadLetters(n.store),
			Require: func(_ string, positions map[int]int64) {
				n.log.Require(name, positions)
				n.durable(name, positions)
			},
		})
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

func compileCrash(query string) (*stream.Program, error) {
	script, err := saql.Parse(query)
	if err != nil {
		return nil, err
	}
	return stream.Compile(script, stream.Environment{})
}

// append appends one event that is a little older than now.
func (n *crashNode) append(i int, done func(error)) {
	t := time.Now().UTC().Add(-time.Duration(i%3) * 5 * time.Millisecond)
	m := telemetry.Message{
		DeviceID: fmt.Sprint("d", i%crashDevices),
		Body:     fmt.Appendf(nil, `{"deviceId":"d%d","n":%d,"t":%q}`, i%crashDevices, i, t.Format(time.RFC3339Nano)),
	}
	n.log.Append([]telemetry.Message{m}, done)
}

// load runs the jobs and appends for ever; it is what the test kills.
func (n *crashNode) load(round string) error {
	errs := make(chan error, len(n.jobs))
	for _, j := range n.jobs {
		go func() { errs <- j.Run(context.Background()) }()
	}
	first := 0
	_, _ = fmt.Sscan(round, &first)
	done := make(chan error, 1)
	for i := first; ; i += 20 {
		for k := range 20 {
			n.append(i+k, func(err error) { done <- err })
		}
		for range 20 {
			if err := <-done; err != nil {
				return err
			}
		}
		fmt.Println("acknowledged", i+19)
		select {
		case err := <-errs:
			return err
		case <-time.After(2 * time.Millisecond): // a load, not a flood: the jobs are to be at work
		}
	}
}

// TestKill kills a process that runs two jobs under load, at the failpoints of a
// checkpoint, behind a write, and at any moment. After the last restart store
// and file have the rows of an undisturbed run, each once.
func TestKill(t *testing.T) {
	folder := t.TempDir()
	rounds := []string{"job/after-write", "job/checkpoint", "job/before-swap", "job/after-swap", "", ""}
	if testing.Short() {
		rounds = rounds[:2]
	}
	next := 0
	for _, failpoint := range rounds {
		next = killAt(t, folder, failpoint, next) + 1
	}
	n, err := openCrashNode(folder)
	if err != nil {
		t.Fatal(err)
	}
	end := n.catchUp(t)
	want, lines := n.undisturbed(t, end)
	if diff := cmp.Diff(want, n.stored(t, end)); diff != "" {
		t.Errorf("the store differs from an undisturbed run: %s", diff)
	}
	data, err := os.ReadFile(filepath.Join(folder, "lines.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if diff := cmp.Diff(lines, got[:min(len(got), len(lines))]); diff != "" || len(got) < len(lines) {
		t.Errorf("the file differs from an undisturbed run: %s", diff)
	}
	t.Logf("%d events, %d rows in the store, %d lines", next, len(want), len(lines))
	if err := n.store.Close(); err != nil {
		t.Error(err)
	}
	if err := n.log.Close(); err != nil {
		t.Error(err)
	}
}

// killAt runs the child and kills it; it returns the last number that was acknowledged.
func killAt(t *testing.T, folder, failpoint string, first int) (last int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+folder, fmt.Sprint(crashRound, "=", first))
	if failpoint != "" {
		cmd.Env = append(cmd.Env, fmt.Sprint("WEIR_FAILPOINT=", failpoint, ":", 5+rand.IntN(20)))
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last = first - 1
	left := 30 + rand.IntN(150)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		_, _ = fmt.Sscanf(scanner.Text(), "acknowledged %d", &last)
		if left--; left == 0 && failpoint == "" {
			_ = cmd.Process.Kill() // at its end Wait tells
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 1 {
		t.Fatalf("%q: the child ended by itself: %v", failpoint, err)
	}
	return last + 20 // what was not acknowledged may be there too
}

// catchUp runs the jobs to the end of the log, behind an event in each
// partition that closes windows. It returns a time before which all rows are there.
func (n *crashNode) catchUp(t *testing.T) saql.Ticks {
	t.Helper()
	end := saql.TicksOf(time.Now().Add(-50 * time.Millisecond))
	acks := make(chan error, crashDevices)
	for d := range crashDevices {
		n.append(1_000_000_000+d, func(err error) { acks <- err })
	}
	for range crashDevices {
		if err := <-acks; err != nil {
			t.Fatal(err)
		}
	}
	last := map[int]int64{}
	for b, err := range n.log.Read(t.Context(), eventlog.AllFrom(crashParts, eventlog.Oldest()), eventlog.AllFrom(crashParts, eventlog.Latest())) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Messages {
			last[b.Partition] = m.Seq
		}
	}
	for name, j := range n.jobs {
		ctx, cancel := context.WithCancel(t.Context())
		n.durable = func(job string, positions map[int]int64) {
			for p, seq := range last {
				if job != name || positions[p] < seq {
					return
				}
			}
			cancel()
		}
		if err := j.Run(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	return end
}

// undisturbed returns the rows that the jobs make of the log.
func (n *crashNode) undisturbed(t *testing.T, end saql.Ticks) (rows, lines []string) {
	t.Helper()
	for _, query := range crashJobs {
		p, err := compileCrash(query)
		if err != nil {
			t.Fatal(err)
		}
		r := stream.Replay{Program: p, Policy: &crashPolicy, Row: func(o stream.OutputPlan, row *saql.Row) error {
			text := string(o.Schema.AppendJSON(nil, row.Values))
			switch {
			case row.Time > end:
			case o.Name == "rows":
				rows = append(rows, row.Time.String()+" "+text)
			default:
				lines = append(lines, text)
			}
			return nil
		}}
		if _, err := r.Log(t.Context(), map[string]stream.Past{"hub": {Log: n.log, From: eventlog.Oldest(), Until: eventlog.Latest()}}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(rows)
	return rows, lines
}

// stored returns the rows that the store has.
func (n *crashNode) stored(t *testing.T, end saql.Ticks) (rows []string) {
	t.Helper()
	for d := range crashDevices {
		for doc, err := range n.store.Read(t.Context(), store.Range{DeviceID: fmt.Sprint("d", d), To: end.Time().Add(1)}) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, saql.TicksOf(doc.Time).String()+" "+string(doc.Data))
		}
	}
	slices.Sort(rows)
	return rows
}

const forever = 200 * 365 * 24 * time.Hour
