package stream

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
)

// A joinEvent is a random event of one side; n names it.
type joinEvent struct {
	left bool
	n    int64
	at   saql.Ticks
	key  int64 // 0: NULL
}

const tenth = saql.Ticks(1_000_000) // of a second

func randomJoinEvents(random *rand.Rand, n int) []joinEvent {
	events := make([]joinEvent, n)
	at := saql.Ticks(1000)
	for i := range events {
		at += saql.Ticks(random.IntN(7))
		events[i] = joinEvent{random.IntN(2) == 0, int64(i), at * tenth, random.Int64N(3)}
	}
	return events
}

// seconds is DATEDIFF(second, from, to).
func seconds(from, to saql.Ticks) int64 {
	const second = 10 * tenth
	return int64(to/second) - int64(from/second)
}

// expectedJoin compares all left with all right events.
func expectedJoin(events []joinEvent, lo, hi int64, outer bool) []string {
	type pair struct {
		at    saql.Ticks
		names string
	}
	var pairs []pair
	for _, l := range events {
		matched := !l.left
		for _, r := range events {
			if !l.left || r.left || l.key == 0 || l.key != r.key {
				continue
			}
			if d := seconds(l.at, r.at); d >= lo && d <= hi {
				matched = true
				pairs = append(pairs, pair{max(l.at, r.at), fmt.Sprint(l.n, " ", r.n)})
			}
		}
		if outer && !matched {
			last := (l.at/(10*tenth)+saql.Ticks(hi)+1)*10*tenth - 1
			pairs = append(pairs, pair{max(l.at, last), fmt.Sprint(l.n, " NULL")})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.names, b.names)) })
	var all []string
	for _, p := range pairs {
		all = append(all, fmt.Sprint(p.at, " ", p.names))
	}
	return all
}

// TestJoinOfRandomEvents compares with all pairs, while the state goes through
// snapshots and watermarks come at random.
func TestJoinOfRandomEvents(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 2))
		lo := random.Int64N(7) - 3
		hi := lo + random.Int64N(4)
		outer := random.IntN(2) == 0
		kind := "JOIN"
		if outer {
			kind = "LEFT JOIN"
		}
		p := compileText(t, fmt.Sprintf("SELECT a.n AS a, b.n AS b INTO out FROM a %s b ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN %d AND %d", kind, lo, hi))
		events := randomJoinEvents(random, 150)
		got := runJoin(t, p, events, random)
		if diff := gocmp.Diff(expectedJoin(events, lo, hi, outer), got); diff != "" {
			t.Fatalf("seed %d, %s from %d to %d of %v:\n%s", seed, kind, lo, hi, events, diff)
		}
	}
}

// runJoin returns the rows that come out; those of the same time are sorted.
func runJoin(t *testing.T, p *Program, events []joinEvent, random *rand.Rand) []string {
	in := p.New(func(e *RowError) error { return e })
	var times []saql.Ticks
	var rows []string
	sink := func(_ int, row *saql.Row) error {
		b := "NULL"
		if !row.Values[1].IsNull() {
			b = fmt.Sprint(row.Values[1].Bigint())
		}
		times = append(times, row.Time)
		rows = append(rows, fmt.Sprint(row.Time, " ", row.Values[0].Bigint(), " ", b))
		return nil
	}
	process := func(e joinEvent) {
		side := slices.IndexFunc(p.Inputs(), func(in InputPlan) bool { return (in.Alias == "a") == e.left })
		if err := in.Process(side, joinEventRow(p.Inputs()[side], e), sink); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range events {
		if random.IntN(10) == 0 {
			in = restored(t, p, in)
		}
		process(e)
		if i+1 < len(events) && random.IntN(5) == 0 {
			if err := in.Advance(events[i+1].at-1, sink); err != nil {
				t.Fatal(err)
			}
		}
	}
	process(joinEvent{left: false, at: events[len(events)-1].at + saql.MaxWindow})
	if !slices.IsSorted(times) {
		t.Fatalf("rows are not in the order of time: %v", rows)
	}
	if state := len(in.Snapshot(nil)); state > 50 {
		t.Fatalf("%d bytes of state when nothing that came can match any more", state)
	}
	slices.SortFunc(rows, func(a, b string) int {
		var x, y int64
		var restA, restB string
		fmt.Sscan(a, &x, &restA)
		fmt.Sscan(b, &y, &restB)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
	return rows
}

func joinEventRow(in InputPlan, e joinEvent) *saql.Row {
	row := &saql.Row{Time: e.at, Key: saql.Key{Seq: e.n}}
	for _, c := range in.Columns {
		v := saql.Bigint(e.n)
		if c.Path[0] == "k" {
			v = saql.Null
			if e.key != 0 {
				v = saql.Bigint(e.key)
			}
		}
		row.Values = append(row.Values, v)
	}
	return row
}
