package twinquery

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var sameQuery = cmp.Options{
	cmp.FilterValues(func(Pos, Pos) bool { return true }, cmp.Ignore()),
	cmp.AllowUnexported(Query{}, Path{}, undefined{}),
}

// TestPrintParse makes expressions of every kind and nesting, which no list of
// examples would hold, and parses what they print.
func TestPrintParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &Query{
			Top:   rapid.IntRange(0, 3).Draw(t, "top"),
			From:  rapid.SampledFrom([]Collection{Devices, Modules}).Draw(t, "from"),
			Alias: rapid.SampledFrom([]string{"", "d"}).Draw(t, "alias"),
			Where: anyExpr(3).Draw(t, "where"),
		}
		if rapid.Bool().Draw(t, "grouped") {
			q.GroupBy = []*Path{{Steps: []Step{{Name: "status"}}}}
			q.Items = []Item{{Expr: q.GroupBy[0], As: "select"}, {Expr: &Call{Name: "AVG", Args: []Expr{anyExpr(2).Draw(t, "arg")}}}}
		}
		if err := check(q); err != nil {
			t.Fatalf("check: %v", err)
		}
		text := q.String()
		if len(text) > MaxLength {
			t.Skip("too long")
		}
		got, err := Parse(text)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if diff := cmp.Diff(q, got, sameQuery); diff != "" {
			t.Fatalf("%s\n(-made +parsed)\n%s", text, diff)
		}
	})
}

func anyExpr(depth int) *rapid.Generator[Expr] {
	return rapid.Custom(func(t *rapid.T) Expr {
		kinds := 7
		if depth == 0 {
			kinds = 2
		}
		sub := func(name string) Expr { return anyExpr(depth-1).Draw(t, name) }
		switch rapid.IntRange(1, kinds).Draw(t, "kind") {
		case 1:
			return &Literal{rapid.OneOf(
				rapid.Just[any](nil), rapid.Just(Undefined), rapid.Bool().AsAny(),
				rapid.Float64Range(0, 1e300).AsAny(), rapid.String().AsAny(),
			).Draw(t, "literal")}
		case 2:
			return anyPath().Draw(t, "path")
		case 3:
			return &Binary{rapid.SampledFrom([]string{"AND", "OR", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"}).Draw(t, "op"), sub("x"), sub("y")}
		case 4:
			return &Unary{rapid.SampledFrom([]string{"NOT", "-", "+"}).Draw(t, "op"), sub("x")}
		case 5:
			return &Call{Name: "INDEX_OF", Args: []Expr{sub("x"), sub("y")}}
		case 6:
			return &Array{[]Expr{sub("x"), sub("y")}}
		default:
			list := rapid.OneOf(rapid.Just[Expr](&Array{}), rapid.Map(anyPath(), func(p *Path) Expr { return p }))
			return &In{sub("x"), rapid.Bool().Draw(t, "not"), list.Draw(t, "list")}
		}
	})
}

func anyPath() *rapid.Generator[*Path] {
	return rapid.Custom(func(t *rapid.T) *Path {
		path := &Path{Steps: []Step{{Name: rapid.SampledFrom([]string{"tags", "d", "devices", "deviceId"}).Draw(t, "root")}}}
		for range rapid.IntRange(0, 3).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "index") {
				path.Steps = append(path.Steps, Step{Index: rapid.IntRange(0, 9).Draw(t, "n"), IsIndex: true})
			} else {
				path.Steps = append(path.Steps, Step{Name: rapid.String().Draw(t, "name")})
			}
		}
		return path
	})
}

// FuzzParse: no text may crash or hang the parser, and what it accepts prints
// to something that parses to the same query and can be run.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/twins.txt", "testdata/errors.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if query, ok := strings.CutPrefix(line, "query "); ok {
				f.Add(query)
			}
		}
	}
	f.Add("SELECT * FROM devices WHERE " + strings.Repeat("(", 2*MaxDepth))
	f.Add("SELECT * FROM devices WHERE " + strings.Repeat("NOT ", 2*MaxDepth))
	doc := map[string]any{"deviceId": "d", "tags": map[string]any{"a": []any{1.0, nil}}}
	f.Fuzz(func(t *testing.T, src string) {
		q, err := Parse(src)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Line < 1 || e.Column < 1 || e.Message == "" {
				t.Fatalf("%q: error without a place: %#v", src, err)
			}
			return
		}
		text := q.String()
		again, err := Parse(text)
		if len(text) > MaxLength {
			return // the print spells escapes out and may be longer
		}
		if err != nil {
			t.Fatalf("%q prints as %q: %v", src, text, err)
		}
		if diff := cmp.Diff(q, again, sameQuery); diff != "" {
			t.Fatalf("%q prints as %q\n%s", src, text, diff)
		}
		q.Match(doc)
		if q.Aggregates() {
			if err := q.NewGroups().Add(doc); err != nil {
				t.Fatal(err)
			}
		} else {
			q.Row(doc)
		}
	})
}

// TestDepth: nesting is refused before it can exhaust the stack.
func TestDepth(t *testing.T) {
	for _, part := range []string{"(", "NOT ", "-", "[", "ABS("} {
		_, err := Parse("SELECT * FROM devices WHERE " + strings.Repeat(part, MaxDepth+1))
		if err == nil || !strings.Contains(err.Error(), "nests deeper than 64") {
			t.Errorf("%d of %q: %v", MaxDepth+1, part, err)
		}
	}
	if _, err := Parse("SELECT * FROM devices WHERE a" + strings.Repeat(".a", MaxDepth+1)); err == nil {
		t.Error("a path of any length is accepted")
	}
	if _, err := Parse("SELECT * FROM devices WHERE '" + strings.Repeat("a", MaxLength) + "'"); err == nil {
		t.Error("a query of any length is accepted")
	}
}

// TestGroupsBounded: memory does not grow with the values of a property.
func TestGroupsBounded(t *testing.T) {
	q, err := Parse("SELECT tags.n, COUNT() AS c FROM devices GROUP BY tags.n")
	if err != nil {
		t.Fatal(err)
	}
	groups := q.NewGroups()
	for i := range MaxGroups {
		if err := groups.Add(map[string]any{"tags": map[string]any{"n": float64(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := groups.Add(map[string]any{}); err != ErrTooManyGroups {
		t.Errorf("one group too many: %v", err)
	}
	if err := groups.Add(map[string]any{"tags": map[string]any{"n": 0.0}}); err != nil {
		t.Errorf("a group that exists: %v", err)
	}
}
