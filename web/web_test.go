package web

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// TestEveryFileThatThePageNamesIsServed follows the page's own links to files.
func TestEveryFileThatThePageNamesIsServed(t *testing.T) {
	types := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
	page := get(t, "/").Body.String() + get(t, "/assets/app.js").Body.String()
	named := regexp.MustCompile(`"(/assets/[^"]+\.(\w+))"`).FindAllStringSubmatch(page, -1)
	if len(named) != 3 {
		t.Fatalf("the page names %v", named)
	}
	for _, m := range named {
		if w := get(t, m[1]); w.Code != 200 || w.Header().Get("Content-Type") != types[m[2]] {
			t.Errorf("%s: %d %s", m[1], w.Code, w.Header().Get("Content-Type"))
		}
	}
	for _, path := range []string{"/assets/", "/assets/live.html", "/live.html", "/assets/../web.go"} {
		if w := get(t, path); w.Code == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

// TestNothingFromElsewhere: the page runs in networks without a way out, under
// a content policy without inline code, and shows what devices send as text.
func TestNothingFromElsewhere(t *testing.T) {
	allowed := regexp.MustCompile(`xmlns='http://www\.w3\.org/2000/svg'|"http://www\.w3\.org/2000/svg"`)
	for _, path := range []string{"/", "/assets/app.js", "/assets/chart.js", "/assets/style.css"} {
		body := allowed.ReplaceAllString(get(t, path).Body.String(), "")
		for _, bad := range []string{"http:", "https:", "src=\"//", "<style", " style=", "innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if i := strings.Index(body, bad); i >= 0 {
				t.Errorf("%s has %q: %.40q", path, bad, body[i:])
			}
		}
		if inline := regexp.MustCompile(` on\w+="`).FindString(body); inline != "" {
			t.Errorf("%s has an inline handler %q", path, inline)
		}
	}
}

// TestEveryIdThatTheScriptNamesIsThere finds what a renamed element would break.
func TestEveryIdThatTheScriptNamesIsThere(t *testing.T) {
	page := get(t, "/").Body.String()
	ids := regexp.MustCompile(`\$\("([\w-]+)"\)`).FindAllStringSubmatch(get(t, "/assets/app.js").Body.String(), -1)
	if len(ids) < 10 {
		t.Fatalf("the script names only %d ids", len(ids))
	}
	for _, m := range ids {
		if strings.Count(page, `id="`+m[1]+`"`) != 1 {
			t.Errorf("the page has no single element %q", m[1])
		}
	}
}
