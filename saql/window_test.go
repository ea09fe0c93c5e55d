package saql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/saql"
)

func show(w saql.Window) string {
	names := []string{"none", "tumbling", "hopping", "sliding", "session", "snapshot", "union"}
	s := names[w.Kind]
	if w.ID != "" {
		s += " " + w.ID
	}
	for _, part := range []struct {
		name string
		d    saql.Ticks
	}{{"size", w.Size}, {"hop", w.Hop}, {"offset", w.Offset}, {"timeout", w.Timeout}, {"max", w.MaxDuration}} {
		if part.d != 0 {
			s += " " + part.name + " " + time.Duration(part.d*100).String()
		}
	}
	for _, k := range w.PartitionBy {
		s += " by " + saql.ExprString(k)
	}
	for _, l := range w.List {
		s += " [" + show(l) + "]"
	}
	return s
}

// TestParseWindow reads windows in all their spellings.
func TestParseWindow(t *testing.T) {
	for _, c := range []struct{ call, want string }{
		{"TumblingWindow(second, 10)", "tumbling size 10s hop 10s"},
		{"TUMBLING(mi, 1, -1)", "tumbling size 1m0s hop 1m0s offset -1m0s"},
		{"TumblingWindow(Duration(hour, 1), Offset(millisecond, -1))", "tumbling size 1h0m0s hop 1h0m0s offset -1ms"},
		{"Tumbling(mcs, 1)", "tumbling size 1µs hop 1µs"},
		{"Tumbling(second, 0.5)", "tumbling size 500ms hop 500ms"},
		{"Tumbling(second, 30 * 2)", "tumbling size 1m0s hop 1m0s"},
		{"Hopping(hours, 1, 1)", "hopping size 1h0m0s hop 1h0m0s"},
		{"HoppingWindow(Duration(hour, 1), Hop(minute, 5), Offset(s, 1))", "hopping size 1h0m0s hop 5m0s offset 1s"},
		{"Sliding(n, 5)", "sliding size 5m0s"},
		{"SlidingWindow(Duration(d, 7))", "sliding size 168h0m0s"},
		{"Session(minute, 2, 60) OVER (PARTITION BY a, b)", "session timeout 2m0s max 1h0m0s by a by b"},
		{"SessionWindow(Timeout(ss, 2), MaxDuration(hh, 1))", "session timeout 2s max 1h0m0s"},
		{"Windows(Tumbling(s, 1), System.Timestamp(), Sliding(s, 1))", "union [tumbling size 1s hop 1s] [snapshot] [sliding size 1s]"},
		{"Windows(Window('a', Tumbling(s, 1)), Window('b', Sliding(s, 1)))", "union [tumbling a size 1s hop 1s] [sliding b size 1s]"},

		{"Tumbling(second)", "column 1: wrong number of arguments of Tumbling: Tumbling(unit, Duration[, Offset])"},
		{"Hopping(second, 1)", "column 1: wrong number of arguments of Hopping: Hopping(unit, Duration, Hop[, Offset])"},
		{"Tumbling(secnd, 1)", `column 10: unexpected "secnd", expected day, hour, minute, second, millisecond or microsecond: did you mean second?`},
		{"Tumbling(month, 1)", `column 10: unexpected "month", expected day, hour, minute, second, millisecond or microsecond`},
		{"Tumbling(second, 0)", "column 18: expected more than 0 seconds"},
		{"Tumbling(second, n)", "column 18: expected a constant number of seconds"},
		{"Tumbling(day, 8)", "column 15: 8 days are longer than 7 days"},
		{"Tumbling(day, 9223372036854775807)", "column 15: 9223372036854775807 days are longer than 7 days"},
		{"Hopping(Duration(hour, 1), Offset(minute, 5))", "column 28: unexpected Offset(minute, 5), expected Hop(unit, n)"},
		{"Tumbling(second, 1) OVER (PARTITION BY a)", "column 21: Tumbling takes no OVER"},
		{"Session(second, 1, 2) OVER (ORDER BY a)", "column 23: OVER of Session takes PARTITION BY only"},
		{"Windows(Window('a', Tumbling(s, 1)), Sliding(s, 1))", "column 38: either all windows of Windows have an id or none has"},
		{"Windows(Window('a', Tumbling(s, 1)), Window('A', Sliding(s, 1)))", "column 38: two windows of Windows have the id 'A'"},
		{"Windows(Windows(Tumbling(s, 1)))", "column 9: unexpected Windows(Tumbling(s, 1)), expected a window"},
		{"Windows(5)", "column 9: unexpected 5, expected a window"},
		{"COUNT(x)", "no window"},
	} {
		e, err := saql.ParseExpr(c.call)
		if err != nil {
			t.Fatal(err)
		}
		w, ok, err := saql.ParseWindow(e.(*saql.Call))
		got := show(w)
		switch {
		case err != nil:
			got = strings.TrimPrefix(err.Error(), "line 1, ")
		case !ok:
			got = "no window"
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.call, got, c.want)
		}
	}
}

// TestSelectWindow tells windows from keys.
func TestSelectWindow(t *testing.T) {
	for _, c := range []struct{ groupBy, want string }{
		{"a, Tumbling(s, 1), b + 1", "tumbling size 1s hop 1s: a, b + 1"},
		{"a, System.Timestamp", "snapshot: a"},
		{"System.Timestamp(), Sliding(s, 1)", "sliding size 1s: System.Timestamp()"},
		{"DATEPART(minute, System.Timestamp())", "none: DATEPART(minute, System.Timestamp())"},
		{"Sliding(s, 1), Sliding(s, 2)", "line 1, column 41: GROUP BY has a second window: combine them by Windows(…, …)"},
	} {
		s, err := saql.Parse("SELECT 1 FROM x GROUP BY " + c.groupBy)
		if err != nil {
			t.Fatal(err)
		}
		w, keys, err := s.Queries[0].Selects[0].Window()
		var texts []string
		for _, k := range keys {
			texts = append(texts, saql.ExprString(k))
		}
		got := show(w) + ": " + strings.Join(texts, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.groupBy, got, c.want)
		}
	}
}
