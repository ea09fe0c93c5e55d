package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/openapi.golden.json")

func openapi(t *testing.T) []byte {
	t.Helper()
	w := get(handler(t, fill(t, "d", 1, time.Second), Options{}), "/openapi.json")
	if w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// TestGolden makes a change of the API visible in review.
func TestGolden(t *testing.T) {
	const golden = "testdata/openapi.golden.json"
	var got bytes.Buffer
	if err := json.Indent(&got, openapi(t), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is stale (%v): look at the change, then run go test ./api -run TestGolden -update", golden, err)
	}
}

type document struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]struct {
		OperationID string
		Summary     string
		Parameters  []struct {
			Name, In, Description string
			Required              bool
			Schema                map[string]any
		}
		Responses map[string]struct {
			Description string
			Content     map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]any }
}

// TestOpenAPI checks the rules of OpenAPI 3.1 that a generator of such a
// document can break.
func TestOpenAPI(t *testing.T) {
	raw := openapi(t)
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" {
		t.Errorf("openapi %q, info %v", doc.OpenAPI, doc.Info)
	}
	for _, m := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllSubmatch(raw, -1) {
		if doc.Components.Schemas[string(m[1])] == nil {
			t.Errorf("a reference to the schema %s, which is not there", m[1])
		}
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" {
				t.Errorf("%s %s: operation id %q, summary %q", method, path, op.OperationID, op.Summary)
			}
			ids[op.OperationID] = true
			var named []string
			for _, p := range op.Parameters {
				if p.Schema == nil || p.Description == "" {
					t.Errorf("%s %s: parameter %s has no schema or no description", method, path, p.Name)
				}
				if p.In == "path" {
					named = append(named, "{"+p.Name+"}")
					if !p.Required {
						t.Errorf("%s %s: path parameter %s is not required", method, path, p.Name)
					}
				}
			}
			inPath := regexp.MustCompile(`\{[^}]+\}`).FindAllString(path, -1)
			if !slices.Equal(named, inPath) {
				t.Errorf("%s %s: parameters %v", method, path, named)
			}
			if _, empty := op.Responses["204"]; !empty && len(op.Responses["200"].Content) == 0 {
				t.Errorf("%s %s: no content of 200", method, path)
			}
			for status, r := range op.Responses {
				if r.Description == "" {
					t.Errorf("%s %s: response %s has no description", method, path, status)
				}
			}
		}
	}
}

// routes are the paths of the REST API: each is documented, and each that is
// documented is here.
var routes = []string{
	"/alerts", "/alerts/live", "/devices", "/devices/{id}", "/devices/{id}/status", "/devices/{id}/telemetry", "/healthz",
	"/jobs", "/jobs/replay", "/jobs/{name}", "/jobs/{name}/start", "/jobs/{name}/stop", "/live", "/readyz"}

func TestEveryRouteIsDocumented(t *testing.T) {
	var doc document
	if err := json.Unmarshal(openapi(t), &doc); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for path := range doc.Paths {
		documented = append(documented, path)
	}
	slices.Sort(documented)
	if !slices.Equal(documented, routes) {
		t.Errorf("documented %v, want %v", documented, routes)
	}
	s, err := newServer(Options{Store: fill(t, "d", 1, time.Second), Log: noLog{}, Hub: anyHub})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.routes(mux)
	for _, route := range routes {
		for method := range doc.Paths[route] {
			method = strings.ToUpper(method)
			r, err := http.NewRequest(method, strings.NewReplacer("{id}", "x", "{name}", "x").Replace(route), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, pattern := mux.Handler(r); pattern != method+" "+route {
				t.Errorf("%s %s is served by %q", method, route, pattern)
			}
		}
	}
}
