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

func reference(t *testing.T) string {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.GenDecl{}
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
			structs[g.Specs[0].(*ast.TypeSpec).Name.Name] = g
		}
	}
	var b strings.Builder
	b.WriteString("# weir.yaml\n\n<!-- Generated from config/config.go by go generate ./config. -->\n\n")
	b.WriteString("`weir serve --config weir.yaml` reads it. " + strings.TrimPrefix(text(structs["Config"].Doc), "A Config is the whole configuration of one node. ") + "\n\n")
	b.WriteString("A key that Weir does not know is an error that names its line, its column and the nearest name. `weir check --config weir.yaml` looks without starting.\n")
	section(t, &b, structs, "", reflect.ValueOf(*Default()))
	return b.String()
}

// section writes a heading per field of v, and those of the structs inside.
func section(t *testing.T, b *strings.Builder, structs map[string]*ast.GenDecl, prefix string, v reflect.Value) {
	decl := structs[v.Type().Name()].Specs[0].(*ast.TypeSpec).Type.(*ast.StructType)
	for i, field := range decl.Fields.List {
		key := prefix + v.Type().Field(i).Tag.Get("yaml")
		if field.Doc == nil {
			t.Errorf("%s has no comment: it is the manual", key)
		}
		value := v.Field(i)
		if value.Kind() == reflect.Struct {
			fmt.Fprintf(b, "\n## %s\n\n%s\n", key, text(field.Doc))
			section(t, b, structs, key+".", value)
			continue
		}
		fmt.Fprintf(b, "\n### %s\n\n%s\n\nDefault: %s\n", key, text(field.Doc), written(value))
	}
}

func text(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

func written(v reflect.Value) string {
	if v.IsZero() && v.Kind() != reflect.Int64 {
		return "empty"
	}
	s := fmt.Sprint(v)
	if strings.HasSuffix(s, "h0m0s") {
		s = strings.TrimSuffix(s, "0m0s")
	}
	return "`" + s + "`"
}
