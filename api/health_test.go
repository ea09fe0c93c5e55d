package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHealth(t *testing.T) {
	logged := LogHealth{Engine: "disk", Durability: "interval", Partitions: 4}
	for _, c := range []struct {
		name           string
		health         Health
		healthz        int
		status         string
		readyz         int
		ready, problem string
	}{
		{"well", Health{Log: logged}, 200, `"status":"ok"`, 200, `{"ready":true}`, `"problems":[]`},
		{"starting", Health{Log: logged, Starting: true}, 200, `"status":"starting"`, 503, `{"ready":false}`, `"problems":[]`},
		{"failing", Health{Log: logged, Problems: []string{"the log stopped"}}, 503, `"status":"failing"`, 503, `{"ready":false}`, `"problems":["the log stopped"]`},
	} {
		h := handler(t, failing{}, Options{Health: func(context.Context) Health { return c.health }})
		w := get(h, "/healthz")
		for _, want := range []string{c.status, c.problem, `"durability":"interval"`, `"consumers":[]`} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: /healthz without %s: %s", c.name, want, w.Body)
			}
		}
		r := get(h, "/readyz")
		if w.Code != c.healthz || r.Code != c.readyz || strings.TrimSpace(r.Body.String()) != c.ready {
			t.Errorf("%s: /healthz %d, /readyz %d %s", c.name, w.Code, r.Code, r.Body)
		}
	}
}

// TestMetrics: requests are counted by route, so that ids make no series.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := handler(t, failing{}, Options{Metrics: reg, Gatherer: reg})
	for _, id := range []string{"a", "b", "c"} {
		get(h, "/devices/"+id+"/telemetry")
		get(h, "/"+id)
	}
	body := get(h, "/metrics").Body.String()
	for _, want := range []string{
		`weir_api_requests_total{code="500",route="GET /devices/{id}/telemetry"} 3`,
		`weir_api_requests_total{code="404",route="/"} 3`,
		"weir_api_tails 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if _, err := New(Options{Store: failing{}, Log: noLog{}, Hub: anyHub, Metrics: reg}); err == nil {
		t.Error("two APIs in one registry")
	}
}

// TestPanicEndsOneRequest: it is counted, and the connection is cut, since the
// answer may have begun.
func TestPanicEndsOneRequest(t *testing.T) {
	h := handler(t, failing{}, Options{Web: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })})
	srv := httptest.NewServer(h)
	defer srv.Close()
	if resp, err := srv.Client().Get(srv.URL + "/"); err == nil {
		resp.Body.Close()
		t.Errorf("a broken page is answered with %d", resp.StatusCode)
	}
	resp, err := srv.Client().Get(srv.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the next request: %d", resp.StatusCode)
	}
}
