package stream

import (
	"testing"

	"github.com/weir-iot/weir/saql"
)

// FuzzRestore restores states that may be damaged: that is an error, or a state
// that goes on.
func FuzzRestore(f *testing.F) {
	const over = " OVER (PARTITION BY k LIMIT DURATION(second, 10))"
	p := compileText(f, "SELECT LAG(v, 2)"+over+" AS a, LAST(v)"+over+" AS b, SUM(v)"+over+" AS c, COLLECT(v)"+over+
		" AS d, ISFIRST(second, 10) OVER (PARTITION BY k) AS e, AnomalyDetection_SpikeAndDip(v, 95, 4, 'spikes')"+over+
		" AS f, AnomalyDetection_ChangePoint(v, 95, 4)"+over+` AS g INTO out FROM i
		SELECT x.v INTO joined FROM i AS x LEFT JOIN i AS y ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 5`)
	process := func(in *Instance, events []overEvent) error {
		for _, e := range events {
			if err := in.Process(0, overRow(p, e), func(int, *saql.Row) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	}
	events := []overEvent{{1, "a", 1, true}, {2, "b", 2, true}, {3, "a", 3, true}, {9, "a", 0, false}, {13, "b", 4, true}}
	fail := func(*RowError) error { return nil }
	for n := range events {
		in := p.New(fail)
		if err := process(in, events[:n]); err != nil {
			f.Fatal(err)
		}
		f.Add(in.Snapshot(nil))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		in := p.New(fail)
		if in.Restore(state) != nil {
			return
		}
		if err := process(in, events); err != nil {
			t.Fatal(err)
		}
		if err := in.Advance(never-1, func(int, *saql.Row) error { return nil }); err != nil {
			t.Fatal(err)
		}
		in.Snapshot(nil)
	})
}
