package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

const referencePage = "../docs/reference/config.md"

// TestReference keeps docs/reference/config.md in step with the comments in config.go.
func TestReference(t *testing.T) {
	got := reference(t)
	if *update {
		if err := os.WriteFile(referencePage, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(referencePage)
	if err != nil || string(want) != got {
		t.Errorf("%s is stale (%v): run go generate ./config", referencePage, err)
	}
}

// A manual is the reference page in the making.
type manual struct {
	t         *testing.T
	b         strings.Builder
	structs   map[string]*ast.GenDecl
	described map[reflect.Type]string // the key under which a struct was shown
}

func reference(t *testing.T) string {
	m := &manual{t: t, structs: map[string]*ast.GenDecl{}, described: map[reflect.Type]string{}}
	for _, name := range []string{"config.go", "jobs.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				m.structs[g.Specs[0].(*ast.TypeSpec).Name.Name] = g
			}
		}
	}
	m.b.WriteString("# weir.yaml\n\n<!-- Generated from config/config.go and config/jobs.go by go generate ./config. -->\n\n")
	m.b.WriteString("`weir serve --config weir.yaml` reads it. " + strings.TrimPrefix(text(m.structs["Config"].Doc), "A Config is the whole configuration of one node. ") + "\n\n")
	m.b.WriteString("A key that Weir does not know is an error that names its line, its column and the nearest name. `weir check --config weir.yaml` looks without starting.\n")
	m.section("", reflect.ValueOf(*Default()))
	return m.b.String()
}

// section writes a heading per field of v, and those of the structs inside.
func (m *manual) section(prefix string, v reflect.Value) {
	decl := m.structs[v.Type().Name()].Specs[0].(*ast.TypeSpec).Type.(*ast.StructType)
	for i, field := range decl.Fields.List {
		key := prefix + v.Type().Field(i).Tag.Get("yaml")
		if field.Doc == nil {
			m.t.Errorf("%s has no comment: it is the manual", key)
		}
		value := v.Field(i)
		if value.Kind() == reflect.Map {
			key += ".NAME"
		}
		if value.Kind() == reflect.Map || value.Kind() == reflect.Pointer { // shown by one as it is when it is written
			value = withDefaults(reflect.New(value.Type().Elem())).Elem()
		}
		if value.Kind() != reflect.Struct {
			fmt.Fprintf(&m.b, "\n### %s\n\n%s\n\nDefault: %s\n", key, text(field.Doc), written(value))
			continue
		}
		fmt.Fprintf(&m.b, "\n## %s\n\n%s", key, text(field.Doc))
		if at := m.described[value.Type()]; at != "" {
			fmt.Fprintf(&m.b, " Its keys are those of %s.\n", at)
			continue
		}
		m.described[value.Type()] = key
		m.b.WriteByte('\n')
		m.section(key+".", value)
	}
}

func text(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

func written(v reflect.Value) string {
	if v.Kind() == reflect.Bool {
		return map[bool]string{true: "yes", false: "no"}[v.Bool()]
	}
	if v.IsZero() && v.Kind() != reflect.Int64 {
		return "empty"
	}
	s := fmt.Sprint(v)
	if strings.HasSuffix(s, "h0m0s") {
		s = strings.TrimSuffix(s, "0m0s")
	}
	return "`" + s + "`"
}
