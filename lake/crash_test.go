package lake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob/dir"
)

const (
	crashRows  = 4000 // of each process
	crashBatch = 50
)

// TestMain makes of the test's own binary the process that is killed: it
// appends rows of its application to the table in a folder until all are
// there, compacts and vacuums meanwhile, and says how far it has come.
func TestMain(m *testing.M) {
	folder, app := os.Getenv("WEIR_TEST_LAKE"), os.Getenv("WEIR_TEST_APP")
	if folder == "" {
		os.Exit(m.Run())
	}
	if err := appendAll(folder, app); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func appendAll(folder, app string) error {
	ctx := context.Background()
	b, err := dir.Open(folder)
	if err != nil {
		return err
	}
	table, err := Open(ctx, b, "telemetry", Options{CheckpointEvery: 5})
	if err != nil {
		return err
	}
	w := table.Writer(WriterOptions{})
	from, ok := w.Committed(app)
	if !ok {
		from = -1
	}
	for seq := from + 1; seq < crashRows; {
		var rows []Row
		for range crashBatch {
			rows = append(rows, crashRow(app, seq))
			seq++
		}
		if err := w.Append(ctx, rows, Txn{app, seq - 1}); err != nil {
			return err
		}
		if err := w.Flush(ctx); err != nil {
			return err
		}
		fmt.Println(seq - 1)
		if seq%(10*crashBatch) == 0 {
			if _, err := table.Compact(ctx, CompactOptions{Before: noon.AddDate(1, 0, 0)}); err != nil && !errors.Is(err, ErrConflict) {
				return err
			}
			if _, err := table.Vacuum(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// crashRow makes one of ten days, and a new column now and then.
func crashRow(app string, seq int64) Row {
	partition, _ := strconv.Atoi(app)
	return Row{
		Sender: fmt.Sprint("d", seq%7), Partition: partition, Seq: seq, EnqueuedAt: noon.Add(time.Duration(seq) * 3 * time.Minute),
		Body: fmt.Appendf(nil, `{"x":%d,"of-%d":true}`, seq, seq/1000),
	}
}

// run starts the process and, unless after is 0, kills it with SIGKILL then. It
// returns the last row that the process said is committed.
func run(t *testing.T, folder, app, failpoint string, after time.Duration) (last int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "WEIR_TEST_LAKE="+folder, "WEIR_TEST_APP="+app, "WEIR_FAILPOINT="+failpoint)
	var out, trouble strings.Builder
	c.Stdout, c.Stderr = &out, &trouble
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		kill := time.AfterFunc(after, func() { _ = c.Process.Kill() })
		defer kill.Stop()
	}
	_ = c.Wait()
	if trouble.Len() > 0 {
		t.Errorf("app %s: %s", app, trouble.String())
	}
	said := strings.Fields(out.String())
	if len(said) == 0 {
		return -1
	}
	last, _ = strconv.ParseInt(said[len(said)-1], 10, 64)
	return last
}

func openFolder(t *testing.T, folder string) *Table {
	t.Helper()
	b, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return openTable(t, b, Options{})
}

// TestCrash kills a process that appends, at random moments and at each named
// place, and starts it again: what it said is committed is there, the table is
// clean each time, and in the end each row is there once.
func TestCrash(t *testing.T) {
	folder := t.TempDir()
	places := []string{"lake-after-file", "lake-before-commit:7", "lake-after-commit:6", "lake-after-checkpoint", "lake-compacted:2", "", "", ""}
	if testing.Short() {
		places = places[:5]
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, place := range places {
		var after time.Duration
		if place == "" {
			after = time.Duration(20+random.IntN(300)) * time.Millisecond
		}
		said := run(t, folder, "0", place, after)
		r := clean(t, openFolder(t, folder))
		if r.Rows != said+1 && r.Rows != said+1+crashBatch && said >= 0 {
			t.Errorf("killed at %q after row %d: %d rows", place, said, r.Rows)
		}
	}
	run(t, folder, "0", "", 0)
	r := clean(t, openFolder(t, folder))
	if r.Rows != crashRows || r.Partitions[0].Records != crashRows {
		t.Errorf("%+v", r)
	}
}

// TestTwoProcesses has two processes on one table: no commit of either is lost,
// no row is there twice.
func TestTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	openFolder(t, folder)
	var wg sync.WaitGroup
	for _, app := range []string{"0", "1"} {
		wg.Go(func() {
			if last := run(t, folder, app, "", 0); last != crashRows-1 {
				t.Errorf("app %s came to row %d", app, last)
			}
		})
	}
	wg.Wait()
	r := clean(t, openFolder(t, folder))
	if r.Rows != 2*crashRows || len(r.Partitions) != 2 || r.Partitions[0].Records != crashRows || r.Partitions[1].Records != crashRows {
		t.Errorf("%+v", r)
	}
}
