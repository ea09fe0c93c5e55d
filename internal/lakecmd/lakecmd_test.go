package lakecmd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/lake"
)

// TestCommands runs each command on a table of two days and looks at what it says.
func TestCommands(t *testing.T) {
	bucket := mem.New()
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	table, err := lake.Open(t.Context(), bucket, "telemetry", lake.Options{Now: func() time.Time { return start.Add(24 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	w := table.Writer(lake.WriterOptions{})
	for seq := range int64(4) {
		row := lake.Row{Sender: "d", Seq: seq, EnqueuedAt: start.Add(time.Duration(seq) * 8 * time.Hour), Body: []byte(`{"x":1}`)}
		if err := w.Append(t.Context(), []lake.Row{row}, lake.Txn{App: "a", Version: seq}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	file := filepath.Join(t.TempDir(), "out.parquet")
	run := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run(Compact(t.Context(), table, &out, nil))
	run(Verify(t.Context(), table, &out, &out))
	run(List(t.Context(), table, &out))
	run(Export(t.Context(), table, lake.Query{Device: "d"}, file, &out, nil))
	for _, want := range []string{
		"compacted 1 days: 2 files of ",
		"partition 0: records 0 to 3\n",
		"files, 4 rows, 0 problems\n",
		"2026-11-24      1     2 ",
		"15 columns\n",
		"4 rows in " + file,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if err := Export(t.Context(), table, lake.Query{}, file, &out, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("exporting over a file: %v", err)
	}
	s, _ := table.Snapshot(t.Context())
	run(bucket.Delete(t.Context(), "telemetry/"+s.Files()[0].Path))
	out.Reset()
	if err := Verify(t.Context(), table, &out, nil); !errors.Is(err, ErrProblems) {
		t.Errorf("%v: %s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "1 problems\n") {
		t.Error(out.String())
	}
}
