package stream

import (
	"encoding/json"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
	"golang.org/x/tools/txtar"
)

// TestReplay replays each archive of testdata/replay: a query, lines of records
// per input, and the rows, dead letters and counts that come of them.
func TestReplay(t *testing.T) {
	files, _ := filepath.Glob("testdata/replay/*.txtar")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			want := ""
			r := &Replay{Arrival: trialBase}
			inputs := map[string]iter.Seq2[json.RawMessage, error]{}
			for _, f := range archive.Files {
				switch {
				case f.Name == "query":
					r.Program = compileText(t, string(f.Data))
				case f.Name == "policy":
					line := policyOf(t, strings.Fields(string(f.Data)))
					r.Policy = &Policy{Late: time.Duration(line.late) * 100, OutOfOrder: time.Duration(line.disorder) * 100, Drop: line.drop}
				case f.Name == "want":
					want = string(f.Data)
				default:
					inputs[f.Name] = lines(string(f.Data))
				}
			}
			r.Row = func(o OutputPlan, row *saql.Row) error {
				line := append([]byte(o.Name+" "+row.Time.String()+" "), o.Schema.AppendJSON(nil, row.Values)...)
				out.Write(append(line, '\n'))
				return nil
			}
			r.Dead = func(d *DeadLetter) error {
				out.WriteString("dead " + d.Cause + " " + d.Input + " " + d.Reason + "\n")
				return nil
			}
			end, err := r.Records(t.Context(), inputs)
			if err != nil {
				out.WriteString("error " + err.Error() + "\n")
			}
			counts, _ := json.Marshal(end)
			out.WriteString("end " + string(counts) + "\n")
			if diff := cmp.Diff(want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func lines(text string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for line := range strings.Lines(text) {
			if !yield(json.RawMessage(strings.TrimSuffix(line, "\n")), nil) {
				return
			}
		}
	}
}

// TestReplayArrival: rows by the time of arrival come while a file is read, which
// may be larger than memory.
func TestReplayArrival(t *testing.T) {
	rows := 0
	r := &Replay{
		Arrival: trialBase,
		Program: compileText(t, "SELECT i FROM hub"),
		Row:     func(OutputPlan, *saql.Row) error { rows++; return nil },
	}
	const records = 20 * recordsPerBatch
	file := func(yield func(json.RawMessage, error) bool) {
		for i := range records {
			if behind := i - rows; behind > 2*recordsPerBatch {
				t.Fatalf("after %d records %d rows are not there", i, behind)
			}
			if !yield(json.RawMessage(`{"i":1}`), nil) {
				return
			}
		}
	}
	if _, err := r.Records(t.Context(), map[string]iter.Seq2[json.RawMessage, error]{"hub": file}); err != nil || rows != records {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// TestReplayLog replays a part of a log, from one moment to another.
func TestReplayLog(t *testing.T) {
	now := trialBase
	log := logmem.New(logmem.Options{Partitions: 3, Now: func() time.Time { return now }})
	defer log.Close()
	for i := range 100 {
		now = now.Add(time.Second)
		m := telemetry.Message{DeviceID: string(rune('a' + i%7)), Body: []byte(`{"i":` + string(rune('0'+i%10)) + `}`)}
		log.Append([]telemetry.Message{m}, func(error) {})
	}
	var times []string
	r := &Replay{
		Program: compileText(t, "SELECT i FROM hub WHERE i = 4"),
		Row: func(_ OutputPlan, row *saql.Row) error {
			times = append(times, row.Time.Time().Format(time.TimeOnly))
			return nil
		},
	}
	end, err := r.Log(t.Context(), map[string]Past{"HUB": {log, eventlog.At(trialBase.Add(20 * time.Second)), eventlog.At(trialBase.Add(60 * time.Second))}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"00:00:25", "00:00:35", "00:00:45", "00:00:55"}, times); diff != "" || end.Events != 40 || end.Rows != 4 {
		t.Errorf("%+v\n%s", end, diff)
	}
}

// TestReplayOpenWindows: the end of a log that goes on is no end of its windows.
func TestReplayOpenWindows(t *testing.T) {
	now := trialBase
	log := logmem.New(logmem.Options{Partitions: 3, Now: func() time.Time { return now }})
	defer log.Close()
	for i := range 25 {
		now = now.Add(time.Second)
		m := telemetry.Message{DeviceID: string(rune('a' + i%7)), Body: []byte(`{"t":"` + now.Format(time.RFC3339) + `"}`)}
		log.Append([]telemetry.Message{m}, func(error) {})
	}
	for _, c := range []struct {
		by    string
		until time.Duration // 0: the end is the end
		rows  int
	}{
		{"", 0, 3}, {"", 25 * time.Second, 2}, {"", 30 * time.Second, 2}, {"", 31 * time.Second, 3},
		{"TIMESTAMP BY t", 30 * time.Second, 2}, {"TIMESTAMP BY t", 36 * time.Second, 3}, // late events may come for 5 s
	} {
		policy := DefaultPolicy()
		r := &Replay{
			Program: compileText(t, "SELECT COUNT(*) AS n FROM hub "+c.by+" GROUP BY TumblingWindow(second, 10)"),
			Policy:  &policy, Row: func(OutputPlan, *saql.Row) error { return nil },
		}
		if c.until > 0 {
			r.Now = trialBase.Add(c.until)
		}
		end, err := r.Log(t.Context(), map[string]Past{"hub": {log, eventlog.Oldest(), eventlog.Latest()}})
		if err != nil {
			t.Fatal(err)
		}
		if end.Rows != int64(c.rows) || c.until > 0 && end.Watermark.Time().After(r.Now) {
			t.Errorf("%q until %s: %+v, want %d rows", c.by, c.until, end, c.rows)
		}
	}
}
