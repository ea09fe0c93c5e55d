package weir_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// A link of a document to a file exists, and what a link to a Go file names in
// code style is declared there: so the documents cannot fall behind the code
// unnoticed.
func TestDocsLinksAreTrue(t *testing.T) {
	links := 0
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all := linksOf(string(text))
		links += len(all)
		for _, l := range all {
			if why := l.wrong(filepath.Dir(path)); why != "" {
				t.Errorf("%s: [%s](%s): %s", path, l.text, l.target, why)
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were found: this test proves little", links)
	}
}

func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const most = 150
	if n := strings.Count(string(text), "\n"); n >= most {
		t.Errorf("README.md has %d lines: keep it under %d, and move what is more to docs", n, most)
	}
}

// TestDocsLinkRules breaks links on purpose.
func TestDocsLinkRules(t *testing.T) {
	for _, c := range []struct {
		text   string
		broken int
	}{
		{"[a](README.md) [b](docs/formats) [c](https://example.org/x.go) [d](#part) [e](README.md#part)", 0},
		{"[a](READMY.md)", 1},
		{"[`hub`](hub/hub.go), [`hub/hub.go`](hub/hub.go), [`hub.go`](hub/hub.go)", 1}, // the others are paths
		{"[`New`](hub/hub.go) [`hub.New`](hub/hub.go) [`(*Hub).Close`](hub/hub.go) [`Hub.Close`](hub/hub.go) [`Options.InFlight`](hub/hub.go)", 0},
		{"[`Knew`](hub/hub.go) [`rest.New`](hub/hub.go) [`(*Hub).Clothe`](hub/hub.go) [`Close`](hub/hub.go) [`Options.OutFlight`](hub/hub.go)", 5},
		{"[`Receiver.Invoke`](hub/receiver.go) [`FeedMethods`](hub/receiver.go)", 0},
		{"[`Receiver.Revoke`](hub/receiver.go)", 1},
		{"[any words](hub/hub.go)", 0},
		{"```js\n[x](nowhere.md)\n```\n[y](nowhere.md)", 1},
	} {
		broken := 0
		for _, l := range linksOf(c.text) {
			if l.wrong(".") != "" {
				broken++
			}
		}
		if broken != c.broken {
			t.Errorf("%s: %d broken, want %d", c.text, broken, c.broken)
		}
	}
}

// documents are the Markdown files that people read.
func documents(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md", "CONTRIBUTING.md", filepath.Join("bench", "README.md")}
	err := filepath.WalkDir("docs", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type link struct{ text, target string }

var (
	linkForm  = regexp.MustCompile(`\[([^][]+)\]\(([^()\s]+)\)`)
	fenceForm = regexp.MustCompile("(?ms)^```.*?^```")
	nameForm  = regexp.MustCompile("^`(?:\\(\\*?(\\w+)\\)\\.|(\\w+)\\.)?(\\w+)`$")
)

// linksOf finds the links of a text, but not in its blocks of code.
func linksOf(text string) []link {
	var all []link
	for _, m := range linkForm.FindAllStringSubmatch(fenceForm.ReplaceAllString(text, ""), -1) {
		all = append(all, link{m[1], m[2]})
	}
	return all
}

// wrong says what is wrong with a link of a document in dir, or "".
func (l link) wrong(dir string) string {
	if strings.Contains(l.target, "://") || strings.HasPrefix(l.target, "#") || strings.HasPrefix(l.target, "mailto:") {
		return ""
	}
	target, _, _ := strings.Cut(l.target, "#")
	path := filepath.Join(dir, filepath.FromSlash(target))
	if _, err := os.Stat(path); err != nil {
		return "there is no such file"
	}
	name := nameForm.FindStringSubmatch(l.text)
	if !strings.HasSuffix(path, ".go") || name == nil || strings.HasSuffix(l.text, ".go`") {
		return ""
	}
	declared, pkg, err := declarations(path)
	if err != nil {
		return err.Error()
	}
	full := strings.TrimPrefix(name[1]+name[2]+"."+name[3], ".")
	if name[2] == pkg {
		full = name[3]
	}
	if !slices.Contains(declared, full) {
		return fmt.Sprintf("%s is not declared there", full)
	}
	return ""
}

// declarations are the names that a Go file declares: F, T, T.Method, T.Field.
func declarations(path string) (names []string, pkg string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, "", err
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, prefix(d.Recv)+d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				names = append(names, specNames(s)...)
			}
		}
	}
	return names, f.Name.Name, nil
}

// prefix is "T." for a method of T.
func prefix(recv *ast.FieldList) string {
	if recv == nil || len(recv.List) == 0 {
		return ""
	}
	t := recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "."
	}
	return ""
}

func specNames(s ast.Spec) (names []string) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, id := range s.Names {
			names = append(names, id.Name)
		}
	case *ast.TypeSpec:
		names = append(names, s.Name.Name)
		var fields *ast.FieldList
		switch t := s.Type.(type) {
		case *ast.StructType:
			fields = t.Fields
		case *ast.InterfaceType:
			fields = t.Methods
		}
		if fields == nil {
			return names
		}
		for _, f := range fields.List {
			for _, id := range f.Names {
				names = append(names, s.Name.Name+"."+id.Name)
			}
		}
	}
	return names
}

// TestStreamAnalyticsPage: the page names every function that there is, and its
// queries compile.
func TestStreamAnalyticsPage(t *testing.T) {
	raw, err := os.ReadFile("docs/stream-analytics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	_, scalar, _ := strings.Cut(page, "\n| scalar |")
	scalar, others, _ := strings.Cut(scalar, ", `CAST`")
	var named []string
	for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(scalar, -1) {
		named = append(named, m[1])
	}
	if there := saql.Functions(); !slices.Equal(named, there) || others == "" {
		t.Errorf("the page names %v, and there are %v", named, there)
	}
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) == 0 {
		t.Error("the page has no query")
	}
	for _, b := range blocks {
		script, err := saql.Parse(b[1])
		if err == nil {
			_, err = stream.Compile(script, stream.Environment{})
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, b[1])
		}
	}
}
