package weir_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weir-iot/weir"

// floors are those of docs/architecture.md: a package imports only from floors
// below its own. Plain folders (internal, bench, e2e, …) have none.
var floors = map[string]int{
	"telemetry": 1, "saql": 1, "config": 1, "blob": 1,
	"eventlog": 2, "store": 2, "lake": 2, "device": 2,
	"edge": 3, "hub": 3, "stream": 3, "function": 3, "api": 3, "web": 3,
	"node": 4, "cmd": 5,
}

// sideways are the imports within a floor that the design allows.
var sideways = map[[2]string]bool{
	{"api", "hub"}: true,
}

// inner packages are neither engine nor door: their parent is made of them.
var inner = map[string]bool{
	"stream/anomaly": true, // the arithmetic of a function
}

// beyondStandard are the third-party imports that the vocabulary may use.
var beyondStandard = map[string][]string{
	"config": {"github.com/goccy/go-yaml"},
}

type source struct {
	path    string // slash-separated, from the root
	file    *ast.File
	imports []string
}

func TestFloors(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue // tests wire real engines
		}
		pkg := filepath.ToSlash(filepath.Dir(s.path))
		top, _, nested := strings.Cut(pkg, "/")
		for _, imp := range s.imports {
			if why := breaks(top, nested, imp); why != "" && !isSuite(pkg) {
				t.Errorf("%s imports %s: %s", s.path, imp, why)
			}
		}
	}
}

// isSuite tells contract suites, which are tests that other packages run.
func isSuite(pkg string) bool { return strings.HasSuffix(pkg, "test") }

func breaks(top string, nested bool, imp string) string {
	rel, own := strings.CutPrefix(imp, module+"/")
	floor, known := floors[top]
	if !known {
		return ""
	}
	if !own {
		third := strings.Contains(strings.SplitN(imp, "/", 2)[0], ".")
		allowed := slices.ContainsFunc(beyondStandard[top], func(p string) bool { return strings.HasPrefix(imp, p) })
		if floor == 1 && !nested && third && !allowed { // an engine may use its vendor's
			return "the vocabulary imports the standard library only"
		}
		return ""
	}
	to, _, toNested := strings.Cut(rel, "/")
	toFloor, hasFloor := floors[to]
	switch {
	case !hasFloor: // internal
		return ""
	case to == top:
		if !nested && toNested && !inner[rel] {
			return "a contract does not import its engines or doors"
		}
		return ""
	case toNested && top != "node":
		return "only node imports engines and doors"
	case to == "node" && top != "cmd":
		return "only cmd imports node"
	case toFloor < floor || sideways[[2]string{top, to}]:
		return ""
	default:
		return "its floor is not below"
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		pkg := filepath.ToSlash(filepath.Dir(s.path))
		documented[pkg] = documented[pkg] || s.file.Doc != nil && len(s.file.Doc.Text()) > 60
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment that says what it is, what it promises and what it leaves out", pkg)
		}
	}
}

func TestFloorRules(t *testing.T) {
	for _, c := range []struct {
		top    string
		nested bool
		imp    string
		breaks bool
	}{
		{"telemetry", false, "github.com/goccy/go-yaml", true},
		{"config", false, "github.com/goccy/go-yaml", false},
		{"blob", false, "github.com/minio/minio-go/v7", true},
		{"blob", true, "github.com/minio/minio-go/v7", false},
		{"hub", false, module + "/eventlog", false},
		{"hub", false, module + "/eventlog/disk", true},
		{"hub", false, module + "/hub/mqtt", true},
		{"hub", true, module + "/hub", false},
		{"hub", false, module + "/api", true},
		{"api", false, module + "/hub", false},
		{"eventlog", false, module + "/hub", true},
		{"node", false, module + "/eventlog/disk", false},
		{"api", false, module + "/node", true},
		{"cmd", true, module + "/node", false},
		{"stream", false, module + "/internal/sas", false},
		{"stream", false, module + "/stream/anomaly", false},
		{"stream", false, module + "/stream/output", true},
	} {
		if got := breaks(c.top, c.nested, c.imp) != ""; got != c.breaks {
			t.Errorf("%s → %s: breaks = %t, want %t", c.top, c.imp, got, c.breaks)
		}
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(path), file: f}
		for _, i := range f.Imports {
			s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
