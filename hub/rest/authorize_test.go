package rest

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/weir-iot/weir/hub"
)

// TestAuthorization asks every route as everybody; testdata/authorization.txt
// says who may. Who may gets any answer but 401.
func TestAuthorization(t *testing.T) {
	text, err := os.ReadFile("testdata/authorization.txt")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for _, id := range []hub.ID{{Device: "d1"}, {Device: "d2"}, {Device: "d1", Module: "m1"}, {Device: "d1", Module: "m2"}} {
		w.create(id)
	}
	roles := []string{
		"none", "garbage", "forged", "expired",
		"owner", "service", "device", "registryRead", "registryReadWrite",
		"device:d1", "device:d2", "module:d1/m1", "module:d1/m2",
	}
	tested := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		request, list, ok := strings.Cut(strings.TrimSpace(line), " : ")
		words := strings.Fields(request)
		if !ok || len(words) != 2 {
			t.Fatalf("not METHOD PATH : ROLES: %s", line)
		}
		tested[words[0]+" "+pattern(words[1])] = true
		may := map[string]bool{}
		for _, role := range strings.Fields(list) {
			may[role] = true
		}
		for _, role := range roles {
			// Stale conditions and bodies without meaning change nothing.
			got := w.do(role, words[0], words[1]+"?api-version=2021-04-12", "{}", http.Header{"If-Match": {`"none"`}})
			if allowed := got.StatusCode != http.StatusUnauthorized; allowed != may[role] || got.StatusCode >= 500 {
				t.Errorf("%s as %s: %d, allowed must be %v: %s", request, role, got.StatusCode, may[role], got.body)
			}
		}
	}
	for _, r := range routes {
		if !tested[r.name] {
			t.Errorf("testdata/authorization.txt has no line for %s", r.name)
		}
	}
}

// pattern makes the pattern of a path in authorization.txt.
func pattern(path string) string {
	return strings.NewReplacer("/d1", "/{id}", "/m1", "/{mid}", "/lock", "/{lock}").Replace(path)
}

// TestResourceOfToken: a policy's token for a part of the hub opens that part alone.
func TestResourceOfToken(t *testing.T) {
	w := newWorld(t)
	w.create(hub.ID{Device: "d1"})
	w.create(hub.ID{Device: "d10"})
	owner, _ := w.policies.Policy("iothubowner")
	for _, test := range []struct {
		resource, path string
		want           int
	}{
		{"localhost/devices", "/devices/d1", 200},
		{"localhost/devices/d1", "/devices/d1", 200},
		{"any.host.net/devices/d1", "/devices/d1", 200},
		{"localhost/devices/d1", "/devices/d10", 401},
		{"localhost/devices/d1", "/devices", 401},
		{"localhost/devices/d1", "/twins/d1", 401},
		{"localhost/twins/d1", "/twins/d1", 200},
		{"localhost/devices/d1", "/devices/d1%2F..%2Fd10", 404},
	} {
		rec := w.with(sign(t, test.resource, owner, later()), "GET", test.path+"?api-version=2021-04-12")
		if rec.Code != test.want {
			t.Errorf("%s for %s: %d, want %d", test.resource, test.path, rec.Code, test.want)
		}
	}
}
