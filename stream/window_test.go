package stream

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
	"pgregory.net/rapid"
)

// A windowRow is a row of the property test: times are seconds.
type windowRow struct{ t, k, x int64 }

// A windowModel says what rows a query gives, in the plainest way.
type windowModel struct {
	query string
	// ends are the ends of windows that there may be.
	ends func(rows []windowRow) []int64
	size int64
}

// windowModels are the windows whose content is that of the last size seconds.
func windowModels(size, hop, offset int64) []windowModel {
	every := func(hop int64) func([]windowRow) []int64 {
		return func([]windowRow) (ends []int64) {
			for end := offset%hop - hop; end < 400; end += hop {
				ends = append(ends, end)
			}
			return ends
		}
	}
	changes := func(rows []windowRow) (ends []int64) {
		for _, r := range rows {
			ends = append(ends, r.t, r.t+size)
		}
		slices.Sort(ends)
		return slices.Compact(ends)
	}
	return []windowModel{
		{fmt.Sprintf("TumblingWindow(second, %d, %d)", size, offset), every(size), size},
		{fmt.Sprintf("HoppingWindow(second, %d, %d, %d)", size, hop, offset), every(hop), size},
		{fmt.Sprintf("SlidingWindow(second, %d)", size), changes, size},
	}
}

// rows returns what comes out, as "end k count sum min max", sorted. A sliding
// window gives only the groups that change; where rows come, its begin is in it.
func (m windowModel) rows(rows []windowRow, sliding bool) []string {
	var out []string
	for _, end := range m.ends(rows) {
		for k := range int64(3) {
			came := sliding && slices.ContainsFunc(rows, func(r windowRow) bool { return r.k == k && r.t == end })
			var in []int64
			changed := came
			for _, r := range rows {
				if r.k != k {
					continue
				}
				changed = changed || r.t+m.size == end
				if r.t > end-m.size && r.t <= end || came && r.t == end-m.size {
					in = append(in, r.x)
				}
			}
			if len(in) == 0 || sliding && !changed {
				continue
			}
			sum := int64(0)
			for _, x := range in {
				sum += x
			}
			out = append(out, fmt.Sprint(end, k, len(in), sum, slices.Min(in), slices.Max(in), in))
		}
	}
	slices.Sort(out)
	return out
}

// TestWindows compares windows of random rows with their model: aggregates of
// constant size, which are merged in two stacks, and COLLECT, which is not.
func TestWindows(t *testing.T) {
	start := mustTicks(t, "2026-01-05") // a multiple of every length below
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int64{1, 2, 3, 4, 6, 10, 12, 30}).Draw(t, "size")
		hop := rapid.SampledFrom([]int64{1, 2, 3, 4, 5, 15}).Draw(t, "hop")
		offset := rapid.Int64Range(-2, 2).Draw(t, "offset")
		rows := rapid.SliceOf(rapid.Custom(func(t *rapid.T) windowRow {
			return windowRow{rapid.Int64Range(0, 90).Draw(t, "t"), rapid.Int64Range(0, 2).Draw(t, "k"), rapid.Int64Range(-50, 50).Draw(t, "x")}
		})).Draw(t, "rows")
		slices.SortStableFunc(rows, func(a, b windowRow) int { return int(a.t - b.t) })
		restoreAt := rapid.IntRange(0, len(rows)).Draw(t, "restore")
		for i, m := range windowModels(size, hop, offset) {
			want := m.rows(rows, i == 2)
			small := runWindow(t, m.query, "0", start, rows, restoreAt)
			large := runWindow(t, m.query, "COLLECT(x)", start, rows, restoreAt)
			if diff := cmp.Diff(want, large); diff != "" {
				t.Fatalf("%s\n%s", m.query, diff)
			}
			for i := range want {
				if n := len(small[i]) - 1; n > len(want[i]) || small[i][:n] != want[i][:n] {
					t.Fatalf("%s: %s, want %s", m.query, small[i], want[i])
				}
			}
		}
	})
}

// runWindow returns what comes out, as windowModel does; the state goes over to
// another instance in front of row restoreAt.
func runWindow(t *rapid.T, window, collect string, start saql.Ticks, rows []windowRow, restoreAt int) []string {
	script, err := saql.Parse("SELECT k, COUNT(*) AS n, SUM(x) AS s, MIN(x) AS lo, MAX(x) AS hi, " + collect + " AS x FROM i GROUP BY k, " + window)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(script, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	last := saql.Ticks(0)
	sink := func(_ int, row *saql.Row) error {
		if row.Time < last {
			t.Fatalf("%s: a row of %s after one of %s", window, row.Time, last)
		}
		last = row.Time
		end := int64(row.Time-start) / int64(saql.UnitSecond.Ticks())
		v := row.Values
		var all []int64
		for _, x := range v[5].Array() {
			all = append(all, x.Bigint())
		}
		out = append(out, fmt.Sprint(end, v[0].Bigint(), v[1].Bigint(), v[2].Bigint(), v[3].Bigint(), v[4].Bigint(), all))
		return nil
	}
	fail := func(e *RowError) error { return e }
	in := p.New(fail)
	columns := map[string]func(windowRow) int64{"k": func(r windowRow) int64 { return r.k }, "x": func(r windowRow) int64 { return r.x }}
	for i, r := range rows {
		if i == restoreAt {
			state := in.Snapshot(nil)
			in = p.New(fail)
			if err := in.Restore(state); err != nil {
				t.Fatal(err)
			}
		}
		row := saql.Row{Time: start + saql.Ticks(r.t)*saql.UnitSecond.Ticks(), Key: saql.Key{Seq: int64(i)}}
		for _, c := range p.Inputs()[0].Columns {
			row.Values = append(row.Values, saql.Bigint(columns[c.Path[0]](r)))
		}
		if err := in.Process(0, &row, sink); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Advance(start+400*saql.UnitSecond.Ticks(), sink); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}
