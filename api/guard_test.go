package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const secret = "0123456789abcdef0123456789abcdef"

func TestWithoutTokenOnlyThisMachine(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{AllowedHosts: []string{"gateway.local"}})
	for _, c := range []struct {
		name   string
		edit   func(*http.Request)
		status int
	}{
		{"localhost", func(*http.Request) {}, 200},
		{"upper case", func(r *http.Request) { r.Host = "LOCALHOST:8080" }, 200},
		{"127.0.0.1", func(r *http.Request) { r.Host = "127.0.0.1" }, 200},
		{"::1", func(r *http.Request) { r.Host = "[::1]:8080" }, 200},
		{"allowed name", func(r *http.Request) { r.Host = "gateway.local:8080" }, 200},
		{"rebinding", func(r *http.Request) { r.Host = "evil.example:8080" }, 403},
		{"rebinding with a local prefix", func(r *http.Request) { r.Host = "localhost.evil.example" }, 403},
		{"another address", func(r *http.Request) { r.Host = "192.168.1.5:8080" }, 403},
		{"no name", func(r *http.Request) { r.Host = "" }, 403},
		{"two names", func(r *http.Request) { r.Host = "localhost, evil.example" }, 403},
		{"proxy", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "8.8.8.8") }, 403},
		{"not loopback", listening("192.168.1.5:8080"), 403},
		{"all addresses, reached by loopback", listening("127.0.0.1:8080"), 200},
	} {
		for _, path := range []string{"/devices/d/telemetry", "/healthz", "/metrics", "/openapi.json", "/docs"} {
			if w := get(h, path, c.edit); w.Code != c.status {
				t.Errorf("%s: %s: %d, want %d: %s", c.name, path, w.Code, c.status, w.Body)
			}
		}
	}
}

// listening makes a request one that came in at a local address.
func listening(addr string) func(*http.Request) {
	return func(r *http.Request) {
		local, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			panic(err)
		}
		*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	}
}

func TestWithTokenNothingIsOpenButHealth(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{Token: secret, Version: "v1.2.3"})
	bearer := func(v string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", v) }
	}
	for _, c := range []struct {
		path   string
		edit   func(*http.Request)
		status int
	}{
		{"/devices/d/telemetry", bearer("Bearer " + secret), 200},
		{"/devices/d/telemetry", bearer("bearer " + secret), 200},
		{"/devices/d/telemetry", bearer("Bearer " + secret[1:]), 401},
		{"/devices/d/telemetry", bearer("Bearer " + secret + "0"), 401},
		{"/devices/d/telemetry", bearer("Bearer"), 401},
		{"/devices/d/telemetry", bearer("Basic " + secret), 401},
		{"/devices/d/telemetry", bearer(secret), 401},
		{"/devices/d/telemetry", func(r *http.Request) { r.URL.RawQuery = "token=" + secret }, 401},
		{"/devices/d/telemetry", func(r *http.Request) { r.Header.Set("Cookie", sessionCookie+"="+secret) }, 401},
		{"/devices/d/telemetry", func(r *http.Request) { r.Header.Set("Cookie", sessionCookie+"=9999999999.00") }, 401},
		{"/devices", func(*http.Request) {}, 401},
		{"/live", func(*http.Request) {}, 401},
		{"/metrics", func(*http.Request) {}, 401},
		{"/openapi.json", func(*http.Request) {}, 401},
		{"/nothing", func(*http.Request) {}, 401},
		{"/healthz/../devices", func(*http.Request) {}, 401},
		{"/healthz", func(*http.Request) {}, 200},
		{"/readyz", func(*http.Request) {}, 200},
		{"/signin", func(*http.Request) {}, 200},
		{"/docs/docs.css", func(*http.Request) {}, 200}, // the sign-in loads both
		{"/docs/docs.js", func(*http.Request) {}, 200},
		{"/docs", func(*http.Request) {}, 401},
	} {
		w := get(h, c.path, listening("192.168.1.5:8080"), func(r *http.Request) { r.Host = "weir.example" }, c.edit)
		if w.Code != c.status {
			t.Errorf("%s: %d, want %d: %s", c.path, w.Code, c.status, w.Body)
		}
		if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate", c.path)
		}
	}
	if w := get(h, "/healthz"); strings.Contains(w.Body.String(), "details") || strings.Contains(w.Body.String(), "v1.2.3") {
		t.Errorf("/healthz tells a stranger more than whether the node works: %s", w.Body)
	}
	if w := get(h, "/healthz", bearer("Bearer "+secret)); !strings.Contains(w.Body.String(), "v1.2.3") {
		t.Errorf("/healthz hides details from who has the token: %s", w.Body)
	}
}

func TestWithTokenAndNamesOnlyThoseAreServed(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{Token: secret, AllowedHosts: []string{"Weir.example"}})
	for host, status := range map[string]int{"weir.example": 200, "weir.example.:443": 200, "localhost:1": 200, "other.example": 403} {
		w := get(h, "/devices/d/telemetry", func(r *http.Request) {
			r.Host = host
			r.Header.Set("Authorization", "Bearer "+secret)
		})
		if w.Code != status {
			t.Errorf("%s: %d, want %d", host, w.Code, status)
		}
	}
}

func TestShortTokenIsRefused(t *testing.T) {
	if _, err := newServer(Options{Token: "short"}); err == nil || strings.Contains(err.Error(), "short ") {
		t.Errorf("err = %v", err)
	}
}

func post(h http.Handler, path string, form url.Values, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	edit(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSignIn(t *testing.T) {
	now := start
	st := fill(t, "d", 1, time.Second)
	o := Options{Store: st, Log: noLog{}, Hub: anyHub, Token: secret, Now: func() time.Time { return now }}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	none := func(*http.Request) {}
	if w := get(h, "/", func(r *http.Request) { r.Header.Set("Accept", "text/html,*/*") }); w.Code != 303 || w.Header().Get("Location") != "/signin" {
		t.Errorf("a browser is not sent to the sign-in: %d", w.Code)
	}
	if w := post(h, "/signin", url.Values{"token": {"wrong"}}, none); len(w.Result().Cookies()) != 0 || w.Header().Get("Location") != "/signin?wrong=1" {
		t.Errorf("a wrong token: %d %v", w.Code, w.Header())
	}
	cross := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	if w := post(h, "/signin", url.Values{"token": {secret}}, cross); w.Code != 403 {
		t.Errorf("another site signs in: %d", w.Code)
	}
	foreign := func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
	if w := post(h, "/signin", url.Values{"token": {secret}}, foreign); w.Code != 403 {
		t.Errorf("another origin signs in: %d", w.Code)
	}
	w := post(h, "/signin", url.Values{"token": {secret}}, none)
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || strings.Contains(cookies[0].Value, secret) {
		t.Fatalf("cookies %v", cookies)
	}
	signedIn := func(r *http.Request) { r.AddCookie(cookies[0]) }
	if w := get(h, "/devices/d/telemetry", signedIn); w.Code != 200 {
		t.Errorf("signed in: %d %s", w.Code, w.Body)
	}
	now = start.Add(sessionLife)
	if w := get(h, "/devices/d/telemetry", signedIn); w.Code != 401 {
		t.Errorf("after the session's life: %d", w.Code)
	}
	now = start
	o.Token = secret + "2"
	if h, err = New(o); err != nil {
		t.Fatal(err)
	}
	if w := get(h, "/devices/d/telemetry", signedIn); w.Code != 401 {
		t.Errorf("after the token was changed: %d", w.Code)
	}
}

func TestLargeBodyIsRefused(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{Token: secret})
	if w := post(h, "/signin", url.Values{"token": {strings.Repeat("x", MaxBody)}}, func(*http.Request) {}); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestHeaders(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{})
	for _, path := range []string{"/devices/d/telemetry", "/docs", "/nothing", "/openapi.json"} {
		w := get(h, path)
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
}

// TestPagesLoadNothingFromElsewhere also holds for inline code, which the
// content policy would stop.
func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	h := handler(t, fill(t, "d", 1, time.Second), Options{})
	for _, path := range []string{"/docs", "/docs/docs.js", "/docs/docs.css", "/signin"} {
		w := get(h, path)
		body := w.Body.String()
		for _, bad := range []string{"src=\"http", "href=\"http", "import \"http", "url(http", "//unpkg", "<style", "style=", "onclick", "innerHTML", "eval("} {
			if w.Code != 200 || strings.Contains(body, bad) {
				t.Errorf("%s: %d, has %q", path, w.Code, bad)
			}
		}
	}
}

// TestRefusalsAreCounted by cause: an operator sees who knocks.
func TestRefusalsAreCounted(t *testing.T) {
	count := func(o Options, method string, edit func(*http.Request)) string {
		reg := prometheus.NewRegistry()
		o.Metrics, o.Gatherer = reg, reg
		h := handler(t, failing{}, o)
		r := httptest.NewRequest(method, "/signout", nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:5000"
		edit(r)
		h.ServeHTTP(httptest.NewRecorder(), r)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "weir_api_refused_total" {
				return fmt.Sprint(f.GetMetric()[0].GetLabel()[0].GetValue(), " ", f.GetMetric()[0].GetCounter().GetValue())
			}
		}
		return ""
	}
	for want, got := range map[string]string{
		"host 1":    count(Options{}, "GET", func(r *http.Request) { r.Host = "evil" }),
		"address 1": count(Options{}, "GET", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") }),
		"token 1":   count(Options{Token: secret}, "GET", func(*http.Request) {}),
		"origin 1":  count(Options{}, "POST", func(r *http.Request) { r.Header.Set("Origin", "http://evil") }),
		"":          count(Options{}, "POST", func(*http.Request) {}),
	} {
		if got != want {
			t.Errorf("counted %q, want %q", got, want)
		}
	}
}
