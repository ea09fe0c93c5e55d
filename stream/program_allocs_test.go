//go:build !race

package stream

import "testing"

// TestAllocs: in steady state filters, projections and tumbling windows allocate
// nothing, whole windows included.
func TestAllocs(t *testing.T) {
	for _, bq := range benchQueries[:2] {
		t.Run(bq.name, func(t *testing.T) {
			f := newBenchFeed(t, bq.query)
			some := func() {
				for range 10_000 {
					if err := f.next(); err != nil {
						t.Fatal(err)
					}
				}
			}
			some()
			before := f.rows
			if n := testing.AllocsPerRun(5, some); n > 0 {
				t.Errorf("%v allocations in 10,000 events", n)
			}
			if f.rows == before {
				t.Error("nothing came out")
			}
		})
	}
}
