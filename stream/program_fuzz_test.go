package stream

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// testQueries are the scripts of testdata/*.saqltest.
func testQueries(f testing.TB) []string {
	files, err := filepath.Glob("testdata/*.saqltest")
	if err != nil || len(files) == 0 {
		f.Fatal("no test files: ", err)
	}
	var queries []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, blocks := parseDirectives(string(text))
		for _, b := range blocks {
			if b.word == "query" {
				queries = append(queries, b.text)
			}
		}
	}
	return queries
}

// fuzzValues are what rows of fuzz tests have, in turn.
var fuzzValues = []saql.Value{
	saql.Bigint(1), saql.Null, saql.Float(2.5), saql.String("a"), saql.Bit(true),
	saql.String("2026-01-01T00:00:00Z"), saql.Bigint(-1 << 63), saql.Datetime(638_700_000_000_000_000),
	saql.RecordValue(&saql.Record{Fields: []saql.Field{{Name: "a", Value: saql.Bigint(7)}}}),
	saql.ArrayValue([]saql.Value{saql.Bigint(1), saql.String("b")}),
}

// runFuzzed gives an instance some rows and the end of them.
func runFuzzed(t testing.TB, p *Program, in *Instance) {
	sink := func(output int, row *saql.Row) error {
		schema := &p.Outputs()[output].Schema
		if len(row.Values) < len(schema.Columns) {
			t.Errorf("%d values of %d columns", len(row.Values), len(schema.Columns))
			return nil
		}
		schema.AppendJSON(nil, row.Values)
		return nil
	}
	now := saql.Ticks(638_700_000_000_000_000)
	for i := range 24 {
		for at, plan := range p.Inputs() {
			row := saql.Row{Time: now, Key: saql.Key{Seq: int64(i)}, Values: make([]saql.Value, len(plan.Columns))}
			for c := range row.Values {
				row.Values[c] = fuzzValues[(i*3+c)%len(fuzzValues)]
			}
			_ = in.Process(at, &row, sink)
		}
		now += saql.Ticks(i%3) * saql.UnitSecond.Ticks()
	}
	_ = in.Advance(now+saql.UnitHour.Ticks(), sink)
}

// FuzzCompile runs what compiles: nothing panics, and a state that was saved
// can be restored.
func FuzzCompile(f *testing.F) {
	for _, q := range testQueries(f) {
		f.Add(q)
	}
	table := &testTable{rows: []*saql.Record{fuzzValues[8].Record()}}
	f.Fuzz(func(t *testing.T, query string) {
		script, err := saql.Parse(query)
		if err != nil {
			return
		}
		for _, env := range []Environment{{}, {Implicit: true, Inputs: map[string]Input{"i": {}, "j": {}, "hub": {}, "ref": {Reference: table}, "r": {Reference: table}}}} {
			p, err := Compile(script, env)
			if err != nil {
				if _, ok := err.(*saql.Error); !ok {
					t.Fatalf("%T: %v", err, err)
				}
				continue
			}
			if p.Explain() == "" {
				t.Error("nothing to explain")
			}
			ignore := func(*RowError) error { return nil }
			in := p.New(ignore)
			runFuzzed(t, p, in)
			if err := p.New(ignore).Restore(in.Snapshot(nil)); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzRestoreQueries restores damaged states: an error, or an instance that runs.
func FuzzRestoreQueries(f *testing.F) {
	var programs []*Program
	ignore := func(*RowError) error { return nil }
	for _, q := range testQueries(f) {
		script, err := saql.Parse(q)
		if err != nil {
			continue
		}
		p, err := Compile(script, Environment{})
		if err != nil {
			continue
		}
		in := p.New(ignore)
		row := saql.Row{Time: 638_700_000_000_000_000}
		for at, plan := range p.Inputs() {
			row.Values = make([]saql.Value, len(plan.Columns))
			for c := range row.Values {
				row.Values[c] = fuzzValues[c%len(fuzzValues)]
			}
			if err := in.Process(at, &row, func(int, *saql.Row) error { return nil }); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(len(programs), in.Snapshot(nil))
		programs = append(programs, p)
	}
	f.Fuzz(func(t *testing.T, i int, state []byte) {
		if i < 0 || i >= len(programs) {
			return
		}
		in := programs[i].New(ignore)
		if err := in.Restore(state); err == nil {
			runFuzzed(t, programs[i], in)
		}
	})
}
