package twinquery

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestScripts runs testdata/*.txt; how they are written stands at the top of
// each.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var docs []string
	for block := range strings.SplitSeq(string(text), "\n\n") {
		block = withoutComments(block)
		if rest, ok := strings.CutPrefix(block, "docs\n"); ok {
			docs = strings.Split(strings.TrimSpace(rest), "\n")
			continue
		}
		if block == "" {
			continue
		}
		head, want, ok := strings.Cut(block, "\n----\n")
		query, isQuery := strings.CutPrefix(head, "query")
		if !ok || !isQuery {
			t.Fatalf("%s: a block is neither docs nor a query with rows:\n%s", file, block)
		}
		query = strings.TrimSpace(query)
		if diff := cmp.Diff(strings.TrimSpace(want), run(t, query, docs)); diff != "" {
			t.Errorf("%s\n(-want +got)\n%s", query, diff)
		}
	}
}

func withoutComments(block string) string {
	var b strings.Builder
	for line := range strings.Lines(block) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return strings.TrimLeft(b.String(), "\n")
}

// run returns the rows of a query, or its error.
func run(t *testing.T, query string, docs []string) string {
	q, err := Parse(query)
	if err != nil {
		return "error " + strings.TrimPrefix(err.Error(), "twinquery: ")
	}
	var rows []string
	groups := q.NewGroups()
	for _, text := range docs {
		doc := decode(t, text)
		switch {
		case !q.Match(doc):
		case q.Aggregates():
			if err := groups.Add(doc); err != nil {
				t.Fatal(err)
			}
		case q.Whole():
			rows = append(rows, text)
		default:
			rows = append(rows, string(q.Row(doc)))
		}
	}
	if q.Aggregates() {
		for _, row := range groups.Rows() {
			rows = append(rows, string(row))
		}
	}
	if q.Top > 0 && len(rows) > q.Top {
		rows = rows[:q.Top]
	}
	return strings.Join(rows, "\n")
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc
}
