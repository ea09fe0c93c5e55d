package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds the text of a configuration.
const maxFile = 1 << 20

// An Error is something wrong in the file, with its place and what to do.
type Error struct {
	File         string
	Line, Column int // 0: the file does not say it
	Key          string
	Message      string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("config: ")
	if e.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, "%s: ", e.Key)
	}
	b.WriteString(e.Message)
	return b.String()
}

type place struct{ line, column int }

// Parse reads text over Default, without validating what the values mean; name
// is what errors call the file.
func Parse(name string, text []byte) (*File, error) {
	f := &File{Config: Default(), name: name, places: map[string]place{}}
	if len(text) > maxFile {
		return nil, &Error{File: name, Message: fmt.Sprintf("%s is larger than 1 MB: is it the configuration?", name)}
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, f.syntax(err)
	}
	if len(tree.Docs) > 1 && tree.Docs[1].Body != nil {
		return nil, f.fail(tree.Docs[1].Body, "", "the file holds a second document: keep one and remove the line ---")
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return f, nil
	}
	if err := f.value(tree.Docs[0].Body, "", reflect.ValueOf(f.Config).Elem()); err != nil {
		return nil, err
	}
	return f, nil
}

// syntax turns the YAML library's error into ours.
func (f *File) syntax(err error) error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		return &Error{File: f.name, Message: f.name + ": " + err.Error()}
	}
	at := y.GetToken().Position
	return &Error{File: f.name, Line: at.Line, Column: at.Column, Message: y.GetMessage()}
}

func (f *File) fail(n ast.Node, key, format string, args ...any) error {
	at := placeOf(n)
	return &Error{File: f.name, Line: at.line, Column: at.column, Key: key, Message: fmt.Sprintf(format, args...)}
}

func placeOf(n ast.Node) place {
	if pair, ok := n.(*ast.MappingValueNode); ok {
		n = pair.Key
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	at := n.GetToken().Position
	return place{at.Line, at.Column}
}

// A defaulter is what a map or a pointer of the configuration leads to, where
// its zero value is not its default.
type defaulter interface{ setDefaults() }

func withDefaults(v reflect.Value) reflect.Value {
	if d, ok := v.Interface().(defaulter); ok {
		d.setDefaults()
	}
	return v
}

// value sets to what n says. A key without a value keeps its default.
func (f *File) value(n ast.Node, key string, to reflect.Value) error {
	if to.Kind() == reflect.Pointer { // a key that is there is not nil: alerts: {}
		to.Set(withDefaults(reflect.New(to.Type().Elem())))
		to = to.Elem()
	}
	switch n.(type) {
	case *ast.NullNode:
		return nil
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return f.fail(n, key, "anchors, aliases and tags are not taken here: write the value out")
	}
	switch to.Kind() {
	case reflect.Struct:
		if field, ok := aloneOf(to); ok {
			if _, text := n.(*ast.StringNode); text { // log: file:data/log
				return f.value(n, key, field)
			}
		}
		return f.mapping(n, key, to)
	case reflect.Map:
		return f.entries(n, key, to)
	case reflect.Slice:
		return f.sequence(n, key, to)
	default:
		return f.scalar(n, key, to)
	}
}

// entries reads a mapping whose keys are names that the user chose, into a map
// of structs. What the map had before stays, unless it is named again.
func (f *File) entries(n ast.Node, key string, to reflect.Value) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return f.fail(n, key, "expects names below it, each with its keys")
	}
	seen := map[string]string{} // by the name in lower case
	for it := m.MapRange(); it.Next(); {
		name := it.Key().GetToken().Value
		full := key + "." + name
		if !validName(name) {
			return f.fail(it.Key(), full, "%q is not a name: letters, digits, hyphens, underscores and dots, 64 at most", name)
		}
		if other, ok := seen[strings.ToLower(name)]; ok {
			return f.fail(it.Key(), full, "is there twice, as %s: case does not tell names apart; remove one", other)
		}
		seen[strings.ToLower(name)] = name
		f.places[full] = placeOf(it.Key())
		entry := withDefaults(reflect.New(to.Type().Elem()))
		if err := f.value(it.Value(), full, entry.Elem()); err != nil {
			return err
		}
		for _, old := range to.MapKeys() {
			if strings.EqualFold(old.String(), name) {
				to.SetMapIndex(old, reflect.Value{})
			}
		}
		to.SetMapIndex(reflect.ValueOf(name), entry.Elem())
	}
	return nil
}

// validName says whether s can name a job, an alias or a log.
func validName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if c := lower(s[i]); (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

func (f *File) mapping(n ast.Node, key string, to reflect.Value) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return f.fail(n, key, "expects keys below it: %s", strings.Join(keysOf(to.Type()), ", "))
	}
	seen := map[string]bool{}
	for it := m.MapRange(); it.Next(); {
		name := it.Key().GetToken().Value
		full := strings.TrimPrefix(key+"."+name, ".")
		field, ok := fieldOf(to, name)
		if !ok {
			return f.unknown(it.Key(), full, name, to.Type())
		}
		if seen[name] {
			return f.fail(it.Key(), full, "is there twice: remove one")
		}
		seen[name] = true
		f.places[full] = placeOf(it.Key())
		if err := f.value(it.Value(), full, field); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) unknown(n ast.Node, full, name string, in reflect.Type) error {
	keys := keysOf(in)
	if near := nearest(name, keys); near != "" {
		return f.fail(n, full, "unknown key: did you mean %s?", near)
	}
	return f.fail(n, full, "unknown key: what exists here is %s", strings.Join(keys, ", "))
}

func (f *File) sequence(n ast.Node, key string, to reflect.Value) error {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		return f.fail(n, key, "expects a list: [a, b]")
	}
	list := reflect.MakeSlice(to.Type(), len(s.Values), len(s.Values))
	for i, v := range s.Values {
		item := key + "[" + strconv.Itoa(i) + "]"
		f.places[item] = placeOf(v)
		if err := f.scalar(v, item, list.Index(i)); err != nil {
			return err
		}
	}
	to.Set(list)
	return nil
}

func (f *File) scalar(n ast.Node, key string, to reflect.Value) error {
	if _, ok := n.(ast.ScalarNode); !ok {
		return f.fail(n, key, "expects a single value")
	}
	text := n.GetToken().Value
	switch at := to.Addr().Interface().(type) {
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return f.fail(n, key, "%q is not a duration: write a number with its unit, such as 500ms, 90s, 15m or 168h", text)
		}
		*at = d
	case *Size:
		s, err := ParseSize(text)
		if err != nil {
			return f.fail(n, key, "%s", err)
		}
		*at = s
	case *int:
		i, err := strconv.Atoi(text)
		if err != nil {
			return f.fail(n, key, "%q is not a whole number", text)
		}
		*at = i
	case *bool:
		switch strings.ToLower(text) {
		case "true", "yes":
			*at = true
		case "false", "no":
			*at = false
		default:
			return f.fail(n, key, "%q is neither yes nor no", text)
		}
	case *string:
		*at = text
	default:
		panic("config: field " + key + " has a type that the parser does not know: " + to.Type().String())
	}
	return nil
}

// fieldOf returns the field of struct v that YAML calls name.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// aloneOf returns the field of struct v that a text in place of v's keys sets.
func aloneOf(v reflect.Value) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("alone") != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// keysOf returns the names of t's fields in YAML.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}
