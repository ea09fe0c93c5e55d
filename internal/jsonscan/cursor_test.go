package jsonscan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// outline reads a text by a Cursor and writes it as nested lists.
func outline(text string) (string, error) {
	var c Cursor
	var b strings.Builder
	c.Begin([]byte(text))
	outlineValue(&c, &b)
	return b.String(), c.End()
}

func outlineValue(c *Cursor, b *strings.Builder) {
	switch c.Kind() {
	case '{':
		b.WriteByte('{')
		for ok := c.Open('}'); ok; ok = c.More('}') {
			raw, plain := c.Name()
			fmt.Fprintf(b, "%s=", Unquote(raw, plain))
			outlineValue(c, b)
			b.WriteByte(';')
		}
		b.WriteByte('}')
	case '[':
		b.WriteByte('[')
		for ok := c.Open(']'); ok; ok = c.More(']') {
			outlineValue(c, b)
			b.WriteByte(';')
		}
		b.WriteByte(']')
	case '"':
		raw, plain := c.Text()
		b.WriteString(Unquote(raw, plain))
	default:
		b.Write(c.Skip())
	}
}

func TestCursor(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{` {"a": 1.50, "b" : {"c":[true, null ,{}]}, "d\n":"x\u0041", "":[] } `, "{a=1.50;b={c=[true;null;{};];};d\n=xA;=[];}"},
		{`"only"`, "only"},
		{`-0.1e7`, "-0.1e7"},
	} {
		if got, err := outline(tt.in); got != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\u00e9"}]}`, `[[`, `{"a" 1}`, `"`, `{"a":1,}`, "\"\xff\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, err := outline(s)
		if (err == nil) != Valid([]byte(s)) {
			t.Errorf("%q: %v, but Valid is %t", s, err, err != nil)
		}
		if err == nil && !json.Valid([]byte(s)) {
			t.Errorf("%q is taken", s)
		}
	})
}
