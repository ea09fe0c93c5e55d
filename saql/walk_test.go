package saql

import (
	"strings"
	"testing"
)

func TestWalkVisitsAllColumns(t *testing.T) {
	const expr = `CASE a WHEN b THEN c ELSE -d END + LAG(e, 1, f) OVER (PARTITION BY g, h LIMIT DURATION(minute, 5) WHEN i LIKE j)
		+ CAST(k AS bigint) + GetArrayElement(l, 0).m + TopOne() OVER (ORDER BY n DESC)
		AND o BETWEEN p AND q OR r IN (s, t) AND NOT u IS NULL`
	e, err := ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	Walk(e, func(e Expr) bool {
		if c, ok := e.(*Column); ok {
			names = append(names, c.Path[0].Text)
		}
		return true
	})
	if got, want := strings.Join(names, ""), "abcdefghijklnopqrstu"; got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
}

func TestWalkStopsWhereVisitSaysSo(t *testing.T) {
	e, err := ParseExpr("a + f(b)")
	if err != nil {
		t.Fatal(err)
	}
	visited := 0
	Walk(e, func(e Expr) bool {
		visited++
		_, call := e.(*Call)
		return !call
	})
	if visited != 3 {
		t.Errorf("%d expressions visited, want 3: the sum, a and the call", visited)
	}
}
