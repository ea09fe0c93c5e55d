package recordfile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

func records(text, format string) string {
	var all []string
	for r, err := range Read(iotest.HalfReader(strings.NewReader(text)), format) {
		if err != nil {
			all = append(all, "error: "+err.Error())
			break
		}
		all = append(all, string(r))
	}
	return strings.Join(all, "\n")
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ name, format, text, want string }{
		{"nothing", JSON, " \n", ""},
		{"array", JSON, "[{\"a\":1},\n {\"a\":\"]}\\\"\"}]", "{\"a\":1}\n{\"a\":\"]}\\\"\"}"},
		{"lines", JSON, "{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}"},
		{"without a break", JSON, "{\"a\":1}{\"a\":2}", "{\"a\":1}\n{\"a\":2}"},
		{"array and lines", JSON, "[]\n[1]\n{\"a\":2}\n[3]", "1\n{\"a\":2}\n3"},
		{"scalars", JSON, "1 true \"x\"", "1\ntrue\n\"x\""},
		{"byte order mark", JSON, "\xEF\xBB\xBF[1]", "1"},
		{"no comma", JSON, "[{}\n{}]", "{}\nerror: line 2: found '{': want a comma between the records, or ] behind the last"},
		{"cut off", JSON, "[{}", "{}\nerror: line 1: the text ends within an array: want ]"},
		{"cut in a record", JSON, "{\"a\":", "error: line 1: the text ends within a record"},
		{"wrong", JSON, "{}\n\n{a:1}", "{}\nerror: line 3: the record is not JSON: invalid character 'a' looking for beginning of object key string"},
		{"csv", CSV, "id,text\r\n1,\"a,\"\"b\"\"\"\r\n2\r\n", "{\"id\":\"1\",\"text\":\"a,\\\"b\\\"\"}\n{\"id\":\"2\"}"},
		{"semicolons", CSV, "id;text\n1;a,b\n", "{\"id\":\"1\",\"text\":\"a,b\"}"},
		{"csv without lines", CSV, "", ""},
		{"csv with an open quote", CSV, "a\n\"1,2", "error: parse error on line 2, column 5: extraneous or missing \" in quoted-field"},
		{"cut gzip", JSON, "\x1F\x8B\x08", "error: line 1: unexpected EOF"},
		{"csv too wide", CSV, "id\n1,2\n", "error: line 2: 2 values under 1 names"},
	} {
		if got := records(c.text, c.format); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestPacked(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte("\xEF\xBB\xBF[1,2]")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if got := records(b.String(), JSON); got != "1\n2" {
		t.Errorf("%q", got)
	}
}

func TestWide(t *testing.T) {
	text := "\uFEFF[\"" + strings.Repeat("ab\U0001F600", 3000) + "\"]"
	for _, big := range []bool{true, false} {
		var b bytes.Buffer
		for _, u := range utf16.Encode([]rune(text)) {
			if big {
				b.Write([]byte{byte(u >> 8), byte(u)})
			} else {
				b.Write([]byte{byte(u), byte(u >> 8)})
			}
		}
		if got, want := records(b.String(), JSON), text[len("\uFEFF["):len(text)-1]; got != want {
			t.Errorf("big-endian %v: %d bytes, want %d", big, len(got), len(want))
		}
	}
}

// FuzzRead: what is given is JSON, and no text is an endless loop or a panic.
func FuzzRead(f *testing.F) {
	f.Add([]byte("[{\"a\":1},2]{}"), true)
	f.Add([]byte("a;b\n1;2"), false)
	f.Fuzz(func(t *testing.T, text []byte, isJSON bool) {
		format := CSV
		if isJSON {
			format = JSON
		}
		for r, err := range Read(bytes.NewReader(text), format) {
			if err == nil && !json.Valid(r) {
				t.Errorf("%q is not JSON", r)
			}
		}
	})
}
