package saql_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// env is what the scripts of testdata/errors run in.
var env = saql.Env{
	Inputs:     []string{"hub", "doors"},
	References: []string{"machines"},
	Outputs:    []string{"output", "alerts", "lake"},
	Functions:  []string{"udf.celsius", "uda.median"},
}

// TestErrors checks testdata/errors: each file holds scripts between lines of
// ====, and behind ---- what is said of each, by Parse or by Check.
func TestErrors(t *testing.T) {
	eachText(t, "testdata/errors/*.sql", func(t *testing.T, in string) string {
		var out strings.Builder
		for i, src := range strings.Split(in, "====\n") {
			if i > 0 {
				out.WriteString("====\n")
			}
			s, err := saql.Parse(src)
			if err != nil {
				out.WriteString(err.Error() + "\n")
				continue
			}
			checkRoundTrip(t, s)
			errs := saql.Check(s, env)
			if len(errs) == 0 {
				t.Errorf("no error:\n%s", src)
			}
			for _, err := range errs {
				out.WriteString(err.Error() + "\n")
			}
		}
		return out.String()
	})
}

// TestValid checks scripts that are all right.
func TestValid(t *testing.T) {
	files, err := filepath.Glob("testdata/valid/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no valid scripts", err)
	}
	eachText(t, "testdata/valid/*.sql", func(t *testing.T, in string) string {
		for src := range strings.SplitSeq(in, "====\n") {
			s, err := saql.Parse(src)
			if err != nil {
				t.Errorf("%v\n%s", err, src)
				continue
			}
			checkRoundTrip(t, s)
			for _, err := range saql.Check(s, env) {
				t.Errorf("%v\n%s", err, src)
			}
		}
		return ""
	})
}
