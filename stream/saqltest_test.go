package stream

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
)

var rewrite = flag.Bool("rewrite", false, "write what tests in testdata/*.saqltest give into them")

// TestSAQL runs testdata/*.saqltest. A file is a list of cases:
//
//	query [implicit]       the script; implicit: SELECT * has the implicit columns
//	event NAME             rows of an input, a JSON object a line
//	reference NAME         what reference data is from now on, a JSON object a line
//	watermark TIME         all rows up to this time have come
//	----                   what came out since the last ----
//	# comment
//
// A row's time is that of TIMESTAMP BY, else its field EventEnqueuedUtcTime;
// metadata are fields of their names. What comes out is
//
//	OUTPUT TIME ROW        a row; the time without its day if that is 2026-01-01
//	fail LINE:COLUMN WHY   a row error
//	error LINE:COLUMN WHY  the script does not compile
//
// Lines that begin with # tell what the case behind them is about.
//
// Each case runs also with a snapshot and a restore after every row and with a
// watermark in front of every row, which must not change anything.
func TestSAQL(t *testing.T) {
	files, err := filepath.Glob("testdata/*.saqltest")
	if err != nil || len(files) == 0 {
		t.Fatal("no test files: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".saqltest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, blocks := parseDirectives(string(text))
			for from := 0; from < len(blocks); {
				to := from + 1
				for to < len(blocks) && blocks[to].word != "query" {
					to++
				}
				t.Run(fmt.Sprint("line ", blocks[from].line), func(t *testing.T) { testCase(t, blocks[from:to]) })
				from = to
			}
			if *rewrite {
				if err := os.WriteFile(file, formatDirectives(head, blocks), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A directive is a word, what follows it, and the lines that follow it.
type directive struct {
	comment   string
	line      int // from 1
	word, arg string
	text      string
}

func parseDirectives(text string) (head string, blocks []directive) {
	comment := ""
	for i, line := range strings.SplitAfter(text, "\n") {
		word, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "#":
			comment += line
		case slices.Contains([]string{"#", "query", "event", "reference", "watermark", "----"}, word):
			blocks = append(blocks, directive{comment: comment, line: i + 1, word: word, arg: arg})
			comment = ""
		case len(blocks) == 0:
			head += line
		default:
			blocks[len(blocks)-1].text += line
		}
	}
	return head, blocks
}

func formatDirectives(head string, blocks []directive) []byte {
	b := []byte(head)
	for i, bl := range blocks {
		if i > 0 && bl.word != "----" && blocks[i-1].word != "#" {
			b = append(b, '\n')
		}
		b = append(b, bl.comment+strings.TrimSpace(bl.word+" "+bl.arg)+"\n"...)
		if text := strings.TrimSpace(bl.text); text != "" {
			b = append(b, text+"\n"...)
		}
	}
	return b
}

// testCase runs a case in all ways; with -rewrite it sets what came out.
func testCase(t *testing.T, blocks []directive) {
	want := runCase(t, blocks, func(*testRun, saql.Ticks) {})
	for _, way := range []struct {
		name   string
		before func(*testRun, saql.Ticks)
	}{{"restored", (*testRun).restore}, {"advanced", (*testRun).advanceTo}} {
		if diff := gocmp.Diff(want, runCase(t, blocks, way.before)); diff != "" {
			t.Errorf("%s, it gives other rows:\n%s", way.name, diff)
		}
	}
	for i := range blocks {
		if blocks[i].word != "----" {
			continue
		}
		if diff := gocmp.Diff(strings.TrimSpace(blocks[i].text), strings.TrimSpace(want[0])); diff != "" && !*rewrite {
			t.Errorf("line %d:\n%s", blocks[i].line, diff)
		}
		blocks[i].text, want = want[0], want[1:]
	}
	if len(want) > 0 && want[0] != "" {
		t.Errorf("line %d: behind the last ---- there is\n%s", blocks[0].line, want[0])
	}
}

// runCase returns what comes out up to each ----, and behind the last.
func runCase(t *testing.T, blocks []directive, before func(r *testRun, next saql.Ticks)) []string {
	r := &testRun{t: t, before: before, inputs: testInputs(blocks)}
	var all []string
	for _, b := range blocks {
		switch b.word {
		case "reference":
			r.flush()
			r.inputs[b.arg].Reference.(*testTable).load(t, b.text)
		case "query":
			r.compile(b)
		case "event":
			for line := range strings.Lines(b.text) {
				if line = strings.TrimSpace(line); line != "" {
					r.events = append(r.events, testEvent{input: b.arg, body: []byte(line)})
				}
			}
		case "watermark":
			r.flush()
			r.advance(mustTicks(t, b.arg))
		case "----":
			r.flush()
			all = append(all, r.out.String())
			r.out.Reset()
		}
	}
	return append(all, r.out.String())
}

// testInputs returns the inputs of a case with reference data; nil: it has none.
func testInputs(blocks []directive) map[string]Input {
	inputs, some := make(map[string]Input), false
	for _, b := range blocks {
		switch b.word {
		case "event":
			inputs[b.arg] = Input{}
		case "reference":
			inputs[b.arg], some = Input{Reference: &testTable{}}, true
		}
	}
	if !some {
		return nil
	}
	return inputs
}

// A testTable is reference data of a test.
type testTable struct{ rows []*saql.Record }

func (tab *testTable) At(saql.Ticks) []*saql.Record { return tab.rows }

func (tab *testTable) load(t *testing.T, text string) {
	tab.rows = nil
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		values := make([]saql.Value, 1)
		if err := saql.NewDecoder([]saql.DecodeColumn{nil}).Decode([]byte(line), values); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		tab.rows = append(tab.rows, values[0].Clone().Record())
	}
}

// A testRun is one instance that is tested.
type testRun struct {
	t       *testing.T
	before  func(r *testRun, next saql.Ticks)
	inputs  map[string]Input
	program *Program // nil: it does not compile
	*Instance
	events []testEvent
	seq    int64
	out    strings.Builder
}

// A testEvent is an event, and as a row of one input.
type testEvent struct {
	input string
	body  []byte
	at    int // of the inputs
	time  saql.Ticks
	key   saql.Key
}

func mustTicks(t testing.TB, s string) saql.Ticks {
	ticks, err := saql.ParseDatetime(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return ticks
}

func (r *testRun) compile(b directive) {
	script, err := saql.Parse(b.text)
	if err == nil {
		r.program, err = Compile(script, Environment{Inputs: r.inputs, Implicit: b.arg == "implicit"})
	}
	var se *saql.Error
	if errors.As(err, &se) {
		fmt.Fprintf(&r.out, "error %d:%d %s\n", se.At.Line, se.At.Column, strings.TrimPrefix(se.Error(), fmt.Sprintf("line %d, column %d: ", se.At.Line, se.At.Column)))
		return
	} else if err != nil {
		r.t.Fatal(err)
	}
	r.Instance = r.program.New(r.fail)
}

func (r *testRun) fail(e *RowError) error {
	fmt.Fprintf(&r.out, "fail %d:%d %s\n", e.At.Line, e.At.Column, e.Reason)
	return nil
}

// restore goes on with another instance.
func (r *testRun) restore(saql.Ticks) {
	state := r.Snapshot(nil)
	again := r.program.New(r.fail)
	if err := again.Restore(state); err != nil {
		r.t.Fatalf("restore: %v", err)
	}
	if !bytes.Equal(state, again.Snapshot(nil)) {
		r.t.Fatal("a restored state has another snapshot")
	}
	r.Instance = again
}

// advanceTo says that there is nothing before the next row.
func (r *testRun) advanceTo(next saql.Ticks) { r.advance(next - 1) }

func (r *testRun) advance(watermark saql.Ticks) {
	if r.program == nil {
		return
	}
	if err := r.Advance(watermark, r.write); err != nil {
		r.t.Fatal(err)
	}
}

// flush processes the events that wait, in the order of time. The memory of a
// row is written over when the row was processed.
func (r *testRun) flush() {
	if r.program == nil {
		return
	}
	var rows []testEvent
	for _, e := range r.events {
		for at, in := range r.program.Inputs() {
			if sameName(in.Alias, e.input) {
				r.seq++
				rows = append(rows, testEvent{body: e.body, at: at, time: r.row(in, e.body).Time, key: saql.Key{Seq: r.seq}})
			}
		}
	}
	r.events = nil
	slices.SortStableFunc(rows, func(a, b testEvent) int { return cmp.Compare(a.time, b.time) })
	for _, e := range rows {
		r.before(r, e.time)
		body := slices.Clone(e.body)
		row := r.row(r.program.Inputs()[e.at], body)
		row.Key = e.key
		if err := r.Process(e.at, &row, r.write); err != nil {
			r.t.Fatal(err)
		}
		for i := range body {
			body[i] = '#'
		}
		clear(row.Values)
	}
}

// row decodes an event.
func (r *testRun) row(in InputPlan, body []byte) saql.Row {
	var columns []saql.DecodeColumn
	for _, c := range in.Columns {
		path := c.Path
		if c.Metadata != nil {
			path = c.Metadata
		}
		columns = append(columns, path)
	}
	columns = append(columns, []string{"EventEnqueuedUtcTime"})
	values := make([]saql.Value, len(columns))
	if err := saql.NewDecoder(columns).Decode(body, values); err != nil {
		r.t.Fatalf("%s: %v", body, err)
	}
	row := saql.Row{Time: mustTicks(r.t, "2026-01-01"), Values: values}
	time := values[len(values)-1]
	if in.Timestamp != nil {
		var err error
		if time, err = in.Timestamp(&row); err != nil {
			r.t.Fatalf("%s: %v", body, err)
		}
	}
	if time = saql.TryConvert(time, saql.KindDatetime); !time.IsNull() {
		row.Time = time.Datetime()
	}
	return row
}

// write takes a row that came out.
func (r *testRun) write(output int, row *saql.Row) error {
	plan := r.program.Outputs()[output]
	time := strings.TrimPrefix(row.Time.String(), "2026-01-01T")
	time = strings.TrimSuffix(strings.TrimRight(strings.TrimSuffix(time, "Z"), "0"), ".")
	fmt.Fprintf(&r.out, "%s %s %s\n", plan.Name, time, plan.Schema.AppendJSON(nil, row.Values))
	return nil
}
