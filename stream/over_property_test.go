package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
)

// An overEvent is a random event: the value is NULL where known is false.
type overEvent struct {
	at    int // seconds
	key   string
	value int64
	known bool
}

func randomEvents(random *rand.Rand, n int) []overEvent {
	events := make([]overEvent, n)
	at := 1
	for i := range events {
		at += []int{0, 0, 1, 1, 2, 5, 10, 11, 40}[random.IntN(9)]
		events[i] = overEvent{at, string(rune('a' + random.IntN(3))), random.Int64N(5), random.IntN(5) > 0}
	}
	return events
}

// found is what a function looks up: the events of the key, this one included,
// that are at most 10 seconds old and have a value above 1.
func found(events []overEvent) []int64 {
	now := events[len(events)-1]
	var values []int64
	for _, e := range events {
		if e.key == now.key && now.at-e.at <= 10 && e.known && e.value > 1 {
			values = append(values, e.value)
		}
	}
	return values
}

// expectedOver computes what the query of TestOverOfRandomEvents gives for the
// last event.
func expectedOver(events []overEvent) string {
	now := events[len(events)-1]
	values := found(events)
	before := values
	if now.known && now.value > 1 {
		before = values[:len(values)-1]
	}
	nth := func(list []int64, n int) string {
		if len(list) < n {
			return "-1"
		}
		return fmt.Sprint(list[len(list)-n])
	}
	sum, least, mean := "null", "null", "null"
	if len(values) > 0 {
		var total int64
		smallest := values[0]
		for _, v := range values {
			total += v
			smallest = min(smallest, v)
		}
		sum, least = fmt.Sprint(total), fmt.Sprint(smallest)
		mean = string(saql.AppendJSON(nil, saql.Float(float64(total)/float64(len(values)))))
	}
	list := strings.ReplaceAll(fmt.Sprint(values), " ", ",")
	return fmt.Sprint(nth(before, 1), " ", nth(before, 3), " ", nth(values, 1), " ", sum, " ", least, " ", mean, " ", len(values), " ", list)
}

// TestOverOfRandomEvents compares with a search through all events, while the
// state goes through snapshots.
func TestOverOfRandomEvents(t *testing.T) {
	const over = " OVER (PARTITION BY k LIMIT DURATION(second, 10) WHEN v > 1)"
	p := compileText(t, "SELECT LAG(v, 1, -1)"+over+" AS a, LAG(v, 3, -1)"+over+" AS b, LAST(v, -1)"+over+" AS c, SUM(v)"+over+
		" AS d, MIN(v)"+over+" AS e, AVG(v)"+over+" AS f, COUNT(v)"+over+" AS g, COLLECT(v)"+over+" AS h, k, v FROM i")
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		events := randomEvents(random, 200)
		in := p.New(func(e *RowError) error { return e })
		for i, e := range events {
			if random.IntN(10) == 0 {
				in = restored(t, p, in)
			}
			var got string
			row := overRow(p, e)
			err := in.Process(0, row, func(_ int, row *saql.Row) error {
				var columns []string
				for _, v := range row.Values[:8] {
					columns = append(columns, string(saql.AppendJSON(nil, v)))
				}
				got = strings.Join(columns, " ")
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(expectedOver(events[:i+1]), got); diff != "" {
				t.Fatalf("seed %d, event %d of %v:\n%s", seed, i, events[:i+1], diff)
			}
		}
	}
}

// overRow makes a row of the columns k and v.
func overRow(p *Program, e overEvent) *saql.Row {
	row := &saql.Row{Time: saql.Ticks(e.at) * 10_000_000}
	for _, c := range p.Inputs()[0].Columns {
		v := saql.String(e.key)
		if c.Path[0] == "v" {
			v = saql.Null
			if e.known {
				v = saql.Bigint(e.value)
			}
		}
		row.Values = append(row.Values, v)
	}
	return row
}

// restored returns an instance with the state of another, whose snapshot it gives.
func restored(t *testing.T, p *Program, in *Instance) *Instance {
	t.Helper()
	state := in.Snapshot(nil)
	again := p.New(func(e *RowError) error { return e })
	if err := again.Restore(state); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(state, again.Snapshot(nil)) {
		t.Fatal("a restored state has another snapshot")
	}
	return again
}

// TestOverForgetsIdleKeys checks that the state does not grow with the number of
// keys that there ever were.
func TestOverForgetsIdleKeys(t *testing.T) {
	const over = " OVER (PARTITION BY k LIMIT DURATION(second, 10))"
	p := compileText(t, "SELECT LAG(v)"+over+" AS a, LAST(v)"+over+" AS b, SUM(v)"+over+" AS c, COLLECT(v)"+over+
		" AS d, ISFIRST(second, 10) OVER (PARTITION BY k) AS e FROM i")
	in := p.New(func(e *RowError) error { return e })
	size := func(from, to int) int {
		for i := from; i < to; i++ {
			row := overRow(p, overEvent{at: i, key: fmt.Sprintf("%08d", i), value: 1, known: true})
			if err := in.Process(0, row, func(int, *saql.Row) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return len(in.Snapshot(nil))
	}
	few, many := size(1000, 1100), size(1100, 5000)
	if many > 2*few {
		t.Errorf("state of %d bytes after 100 keys, %d after 4000", few, many)
	}
}
