package saql_test

import (
	"strings"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// TestHostile nests and repeats all that can be, beyond what the stack of a
// parser or a printer could hold: that is an error, not a crash.
func TestHostile(t *testing.T) {
	const n = 30_000
	nested := func(open, inner, shut string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	for name, c := range map[string]struct{ src, says string }{
		"parentheses": {"SELECT " + nested("(", "a", ")") + " FROM x", "more than 10000 operators"},
		"signs":       {"SELECT " + nested("- ", "a", "") + " FROM x", "more than 10000 operators"},
		"not":         {"SELECT a FROM x WHERE " + nested("NOT ", "a", ""), "more than 10000 operators"},
		"sum":         {"SELECT " + nested("a + ", "a", "") + " FROM x", "more than 10000 operators"},
		"is null":     {"SELECT a " + nested("IS NULL ", "", "") + " FROM x", "more than 10000 operators"},
		"calls":       {"SELECT " + nested("f(", "a", ")") + " FROM x", "more than 10000 operators"},
		"cases":       {"SELECT " + nested("CASE WHEN a THEN ", "a", " END") + " FROM x", "more than 10000 operators"},
		"casts":       {"SELECT " + nested("CAST(", "a", " AS bit)") + " FROM x", "more than 10000 operators"},
		"fields":      {"SELECT f(a)" + nested(".b", "", "") + " FROM x", "more than 10000 operators"},
		"over":        {"SELECT " + nested("f() OVER (WHEN ", "a", ")") + " FROM x", "more than 10000 operators"},
		"queries":     {nested("SELECT a FROM (", "SELECT a FROM x", ")"), "nested more than 100 deep"},
		"brackets":    {nested("(", "SELECT a FROM x", ")"), "nested more than 100 deep"},
		"comments":    {nested("/*", "", "*/") + " SELECT", "expected an expression"},
		"length":      {strings.Repeat(" ", 1<<20) + "SELECT a FROM x", "at most 1048576 are allowed"},
	} {
		_, err := saql.Parse(c.src)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected: %s", name, err, c.says)
		}
	}
}

// TestLarge reads what is large but not too large.
func TestLarge(t *testing.T) {
	for name, src := range map[string]string{
		"parentheses": "SELECT " + strings.Repeat("f(", 9_000) + "a" + strings.Repeat(")", 9_000) + " FROM x",
		"sum":         "SELECT " + strings.Repeat("a + ", 9_000) + "a FROM x WHERE " + strings.Repeat("a OR ", 9_000) + "a",
		"list":        "SELECT a FROM x WHERE a IN (" + strings.Repeat("1, ", 50_000) + "2)",
		"groups":      "SELECT " + strings.Repeat("a + ", 9_000) + "a FROM x GROUP BY a, Tumbling(second, 1)",
		"columns":     "SELECT " + strings.Repeat("a AS b, ", 20_000) + "c FROM x",
	} {
		s, err := saql.Parse(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again, err := saql.Parse(s.String()); err != nil || again.String() != s.String() {
			t.Errorf("%s: printed and read it is another: %v", name, err)
		}
		saql.Check(s, saql.Env{})
	}
}
