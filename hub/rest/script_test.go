package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestScripts runs testdata/*.rest, each against a hub of its own; how they
// are written stands at the top of registry.rest.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.rest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				s := &script{t: t, w: newWorld(t)}
				for block := range strings.SplitSeq(string(text), "\n\n") {
					s.step(block)
				}
			})
		})
	}
}

// A script remembers the last answer for {{etag}}, {{lock}} and {{continuation}}.
type script struct {
	t    *testing.T
	w    *world
	last http.Header
}

func (s *script) step(block string) {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(block), "\n") {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "\n")
	if text == "" {
		return
	}
	if d, ok := strings.CutPrefix(text, "wait "); ok {
		pause, err := time.ParseDuration(d)
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(pause)
		return
	}
	request, want, ok := strings.Cut(text, "----\n")
	if !ok {
		s.t.Fatalf("no answer is expected of:\n%s", text)
	}
	first, rest, _ := strings.Cut(request, "\n")
	words := strings.Fields(s.expand(first))
	headers, body := cutHeaders(s.expand(rest))
	got := s.w.do(words[0], words[1], words[2], body, headers)
	if got.StatusCode/100 == 2 && (got.Header.Get("ETag") != "" || got.Header.Get("x-ms-continuation") != "") {
		s.last = got.Header
	}
	if wrong := compare(got, want); wrong != "" {
		s.t.Errorf("%s\n%s\nthe answer was %d %v\n%s", strings.TrimSpace(request), wrong, got.StatusCode, got.Header, got.body)
	}
}

func (s *script) expand(text string) string {
	etag := s.last.Get("ETag")
	return strings.NewReplacer("{{etag}}", etag, "{{lock}}", strings.Trim(etag, `"`),
		"{{continuation}}", s.last.Get("x-ms-continuation")).Replace(text)
}

// cutHeaders cuts "Name: value" lines from what follows them.
func cutHeaders(text string) (http.Header, string) {
	h := http.Header{}
	for {
		line, rest, _ := strings.Cut(text, "\n")
		name, value, ok := strings.Cut(line, ": ")
		if !ok || strings.ContainsAny(name, " {\"[") {
			return h, strings.TrimSuffix(text, "\n")
		}
		h.Set(name, value)
		text = rest
	}
}

// compare says what in an answer is not as wanted, or "".
func compare(got *answer, want string) string {
	status, rest, _ := strings.Cut(want, "\n")
	headers, body := cutHeaders(rest)
	if strconv.Itoa(got.StatusCode) != strings.TrimSpace(status) {
		return "want status " + status
	}
	for name := range headers {
		have := got.Header.Get(name)
		if want := headers.Get(name); !matches(have, want) {
			return fmt.Sprintf("%s: %q, want %q", name, have, want)
		}
	}
	inner, isNested := strings.CutPrefix(body, "nested ")
	switch {
	case body == "":
		return ""
	case isNested:
		var outer struct{ Message string }
		if err := json.Unmarshal(got.body, &outer); err != nil {
			return err.Error()
		}
		return compareJSON([]byte(outer.Message), inner)
	case body[0] == '{' || body[0] == '[':
		return compareJSON(got.body, body)
	case string(got.body) != body:
		return "want body " + body
	}
	return ""
}

func compareJSON(got []byte, want string) string {
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		return err.Error()
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return "the script: " + err.Error()
	}
	return difference("", g, w)
}

// difference says where got has not what want has: members that want does not
// name are free, lists are compared as a whole.
func difference(path string, got, want any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, want an object", path, got)
		}
		for key, value := range w {
			have, there := g[key]
			if value == "-" && there {
				return fmt.Sprintf("%s.%s is there: %v", path, key, have)
			}
			if value == "-" {
				continue
			}
			if !there {
				return fmt.Sprintf("%s.%s is missing", path, key)
			}
			if d := difference(path+"."+key, have, value); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s is %v, want a list of %d", path, got, len(w))
		}
		for i := range w {
			if d := difference(fmt.Sprintf("%s[%d]", path, i), g[i], w[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		if w == "*" && got != nil && got != "" {
			return ""
		}
		if s, ok := got.(string); ok && matches(s, w) {
			return ""
		}
	default:
		if got == want {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v, want %v", path, got, want)
}

// matches compares a string with one that may end in *, be - for none, or
// begin with ! for what it must not be.
func matches(got, want string) bool {
	if other, ok := strings.CutPrefix(want, "!"); ok {
		return got != "" && got != other
	}
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return len(got) > len(prefix) && strings.HasPrefix(got, prefix)
	}
	return got == want || want == "-" && got == ""
}
