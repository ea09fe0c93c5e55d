package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/blob/dir"
	"github.com/weir-iot/weir/internal/need"
	"github.com/weir-iot/weir/lake"
)

// A summary is what every reader must find in the table. Times are in
// microseconds since 1970.
type summary struct {
	Rows     int64               `json:"rows"`
	Days     int64               `json:"days"`
	From     int64               `json:"from"`
	To       int64               `json:"to"`
	Columns  map[string]*numbers `json:"columns"`
	Strings  map[string]int64    `json:"strings"`  // values of each
	Booleans map[string]int64    `json:"booleans"` // how often it is true
}

type numbers struct {
	Count int64   `json:"count"`
	Sum   float64 `json:"sum"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
}

func (s *summary) number(column string, f float64) {
	n := s.Columns[column]
	if n == nil {
		n = &numbers{Min: f, Max: f}
		s.Columns[column] = n
	}
	n.Count++
	n.Sum += f // of eighths: exact
	n.Min, n.Max = min(n.Min, f), max(n.Max, f)
}

// lakeTable writes a table that went through everything: columns that came
// later and changed their type, bodies that are not JSON, days that were
// compacted, a checkpoint, and a vacuum.
func lakeTable(t *testing.T) (folder string, want *summary) {
	t.Helper()
	folder = t.TempDir()
	bucket, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	now := time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	table, err := lake.Open(t.Context(), bucket, "telemetry", lake.Options{CheckpointEvery: 5, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w := table.Writer(lake.WriterOptions{})
	random := rand.New(rand.NewPCG(1, 1))
	want = &summary{Columns: map[string]*numbers{}, Strings: map[string]int64{}, Booleans: map[string]int64{}}
	seq, days := int64(0), map[string]bool{}
	for batch := range 23 {
		rows := make([]lake.Row, 500)
		for i := range rows {
			at := now.Add(time.Duration(i) * time.Second)
			days[at.Format(time.DateOnly)] = true
			rows[i] = lake.Row{Sender: fmt.Sprint("machine-", i%20), Partition: i % 4, Seq: seq, EnqueuedAt: at, Body: want.body(random, batch, at)}
			seq++
		}
		if err := w.Append(t.Context(), rows, lake.Txn{App: "e2e", Version: seq - 1}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(4 * time.Hour)
		if batch%6 == 5 {
			if _, err := table.Compact(t.Context(), lake.CompactOptions{FileSize: 8 << 10}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want.Days = int64(len(days))
	now = now.Add(8 * 24 * time.Hour)
	v, err := table.Vacuum(t.Context())
	if err != nil || v.Files == 0 || v.Log == 0 {
		t.Fatalf("vacuum: %+v, %v", v, err)
	}
	return filepath.Join(folder, "telemetry"), want
}

// body makes one message and counts it in.
func (s *summary) body(random *rand.Rand, batch int, at time.Time) []byte {
	s.Rows++
	if random.IntN(100) == 0 {
		s.time(at)
		return []byte("not JSON")
	}
	stamp := at.Add(-time.Duration(random.IntN(1e9)) * time.Nanosecond).Truncate(time.Microsecond)
	s.time(stamp)
	b := fmt.Appendf(nil, `{"timestamp":"%s"`, stamp.Format(time.RFC3339Nano))
	eighths := func(name, column string) {
		f := float64(random.IntN(1000)-200) / 8
		b = fmt.Appendf(b, `,"%s":%v`, name, f)
		s.number(column, f)
	}
	eighths("temperature", "temperature")
	if batch > 3 {
		eighths("humidity", "humidity")
		on := random.IntN(2) == 0
		b = fmt.Appendf(b, `,"on":%t`, on)
		if on {
			s.Booleans["on"]++
		}
	}
	if batch > 8 { // a nested one
		f := float64(random.IntN(100))
		b = fmt.Appendf(b, `,"motor":{"speed":%v,"state":"ok"}`, f)
		s.number("motor.speed", f)
		s.Strings["motor.state"]++
	}
	if batch > 12 && random.IntN(2) == 0 { // one that changes its type
		b = append(b, `,"humidity":"wet","On":"yes"`...)
	} else if batch > 14 {
		b = append(b, `,"label":"a label"`...)
		s.Strings["label"]++
	}
	return append(b, '}')
}

func (s *summary) time(at time.Time) {
	us := at.UnixMicro()
	if s.From == 0 || us < s.From {
		s.From = us
	}
	s.To = max(s.To, us)
}

// TestLake has readers that nobody here wrote agree on what is in the table.
func TestLake(t *testing.T) {
	folder, want := lakeTable(t)
	for _, reader := range []string{"deltalake", "duckdb-parquet", "duckdb-delta", "pandas"} {
		t.Run(reader, func(t *testing.T) {
			_, err := os.Stat(".venv/bin/python")
			need.That(t, err == nil, "deltalake, DuckDB and pandas: make e2e-python")
			agree(t, want, ".venv/bin/python", "-W", "ignore", "python/lake.py", reader, folder)
		})
	}
	t.Run("hyparquet", func(t *testing.T) {
		_, err := os.Stat("node/node_modules/hyparquet")
		need.That(t, err == nil, "hyparquet: make e2e-node")
		agree(t, want, "node", "node/lake.mjs", folder)
	})
}

// TestSpark is heavy and not part of make e2e: see make e2e-spark.
func TestSpark(t *testing.T) {
	if _, err := os.Stat(".venv-spark/bin/python"); err != nil {
		t.Skip("needs Spark: make e2e-spark")
	}
	folder, want := lakeTable(t)
	agree(t, want, ".venv-spark/bin/python", "-W", "ignore", "python/lake_spark.py", folder)
}

// agree runs a reader, which prints its summary as JSON.
func agree(t *testing.T, want *summary, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	got := new(summary)
	if err := json.Unmarshal(out, got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
