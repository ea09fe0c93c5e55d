package rest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/hub"
)

// dial opens a connection to a real server with w's door.
func dial(t *testing.T, handler http.Handler) net.Conn {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// A guard against hanging, not a measure.
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestKeepAlive: requests of all lengths follow one another on one connection,
// chunked as Node sends them.
func TestKeepAlive(t *testing.T) {
	w := newWorld(t)
	w.create(hub.ID{Device: "d1"})
	conn := dial(t, w.handler)
	in := bufio.NewReader(conn)
	head := "POST " + events + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + w.token("device:d1") + "\r\n"
	for i, request := range []string{
		head + "Content-Length: 2\r\n\r\nhi",
		head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		head + "\r\n",
		head + "Content-Length: 2\r\n\r\nho",
	} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 204 {
			t.Errorf("request %d: %d", i, res.StatusCode)
		}
	}
	var bodies []string
	for _, m := range w.log.messages() {
		if m.Source == 0 {
			bodies = append(bodies, string(m.Body))
		}
	}
	if got := strings.Join(bodies, ","); got != "hi,hi,,ho" {
		t.Errorf("the log has %s", got)
	}
}

// TestSlowBody: a sender that stops amid its body is let go after the timeout.
func TestSlowBody(t *testing.T) {
	w := newWorld(t)
	w.create(hub.ID{Device: "d1"})
	conn := dial(t, New(w.hub, Options{Timeout: time.Millisecond}))
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: 10\r\n\r\nhi", events, w.token("device:d1"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 400 || len(w.log.messages()) > 1 { // one says that the device was made
		t.Errorf("%d, %v", res.StatusCode, w.log.messages())
	}
}

// TestSlowBodyOfNobody: nor does one hold a connection who may not send at all.
func TestSlowBodyOfNobody(t *testing.T) {
	w := newWorld(t)
	conn := dial(t, New(w.hub, Options{Timeout: time.Millisecond}))
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhi", events); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // to the end of the connection
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
		t.Errorf("%v, %q", err, answer)
	}
}

// TestTooLongIsNotRead: a body whose length is too large is refused by its header.
func TestTooLongIsNotRead(t *testing.T) {
	w := newWorld(t)
	w.create(hub.ID{Device: "d1"})
	conn := dial(t, w.handler)
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: 99999999999\r\n\r\n", events, w.token("device:d1"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 413 || !res.Close {
		t.Errorf("%d, close %v", res.StatusCode, res.Close)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	registry := prometheus.NewRegistry()
	w.handler = New(w.hub, Options{Metrics: registry})
	w.do("owner", "GET", "/devices/secret?api-version=1", "", nil)
	w.do("owner", "GET", "/devices/other?api-version=1", "", nil)
	w.do("none", "GET", "/wp-login.php", "", nil)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			got[fmt.Sprint(f.GetName(), " ", m.Label[0].GetValue(), " ", m.Label[1].GetValue())] = m.Counter.GetValue()
		}
	}
	want := map[string]float64{
		"weir_rest_requests_total GET /devices/{id} 404": 2, // ids are no labels
		"weir_rest_requests_total none 404":              1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzRequest: whatever an authorized service or device sends, the answer is
// never a 5xx, and an error is an envelope with a code and a tracking id.
func FuzzRequest(f *testing.F) {
	for i, r := range routes {
		path := strings.NewReplacer("{id}", "d1", "{mid}", "m1", "{lock}", "l").Replace(r.pattern)
		f.Add(uint8(i), path, "api-version=2021-04-12", `{"deviceId":"d1","tags":{"a":1}}`, `"*"`)
		f.Add(uint8(i), path, "api-version=1&top=x&reject", `[{"id":"d1","importMode":"update"}]`, "")
	}
	f.Add(uint8(0), "/devices/query", "api-version=1", `{"query":"SELECT * FROM devices WHERE tags.a = 1"}`, "")
	f.Add(uint8(0), "/twins/d1", "api-version=1", `{"properties":{"desired":{"a":{"b":[null]}}}}`, "")
	methods := []string{"POST", "GET", "PUT", "PATCH", "DELETE"}
	w := newWorld(f)
	w.create(hub.ID{Device: "d1"})
	w.create(hub.ID{Device: "d1", Module: "m1"})
	token := w.token("owner")
	f.Fuzz(func(t *testing.T, method uint8, path, query, body, header string) {
		if strings.ContainsAny(path+query, " \t\r\n\x00#") || !strings.HasPrefix(path, "/") || strings.Contains(path, "methods") {
			return
		}
		req, err := http.NewRequest(methods[int(method)%len(methods)], "https://localhost"+path+"?"+query, strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Authorization", token)
		for _, name := range []string{"If-Match", "x-ms-continuation", "iothub-expiry", "iothub-properties", "x-ms-max-item-count"} {
			req.Header.Set(name, header)
		}
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, req)
		if rec.Code >= 500 {
			t.Fatalf("%s %s: %d %s", req.Method, req.URL, rec.Code, rec.Body)
		}
		if rec.Code < 400 {
			return
		}
		var envelope map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &envelope); err != nil || rec.Header()["Iothub-Errorcode"] == nil || rec.Header()["X-Ms-Request-Id"] == nil {
			t.Fatalf("%s %s: %d %v %s: %v", req.Method, req.URL, rec.Code, rec.Header(), rec.Body, err)
		}
	})
}
