package saql_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-iot/weir/saql"
)

// sameTree compares trees but for positions and quotes.
var sameTree = cmp.Options{
	cmpopts.IgnoreTypes(saql.Pos{}),
	cmpopts.IgnoreFields(saql.Name{}, "Quoted"),
	cmp.Comparer(func(a, b saql.Value) bool {
		return a.Kind() == b.Kind() && a.Bigint() == b.Bigint() && a.Str() == b.Str()
	}),
}

func diffTrees(a, b *saql.Script) string { return cmp.Diff(a, b, sameTree) }

// checkRoundTrip fails if the printed script reads back as another tree.
func checkRoundTrip(t testing.TB, s *saql.Script) {
	t.Helper()
	text := s.String()
	again, err := saql.Parse(text)
	if err != nil {
		t.Fatalf("printed script: %v\n%s", err, text)
	}
	if diff := diffTrees(s, again); diff != "" {
		t.Fatalf("parse, print, parse (-first +second):\n%s\n%s", diff, text)
	}
}

// TestScripts prints testdata/scripts: each file is a script, ---- and its
// canonical layout.
func TestScripts(t *testing.T) {
	eachText(t, "testdata/scripts/*.sql", func(t *testing.T, src string) string {
		s, err := saql.Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, s)
		return s.String()
	})
}
