package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sessionCookie = "weir_session"
	sessionLife   = 12 * time.Hour
)

// guard decides who is served.
type guard struct {
	token  []byte   // nil: loopback only
	hosts  []string // lower case, without port
	now    func() time.Time
	origin *http.CrossOriginProtection
	// refused counts whom it turns away, by cause: host, address, token or origin.
	refused func(cause string)
}

func newGuard(token string, hosts []string, now func() time.Time) *guard {
	g := &guard{now: now, origin: http.NewCrossOriginProtection(), refused: func(string) {}}
	if token != "" {
		g.token = []byte(token)
	}
	for _, h := range hosts {
		g.hosts = append(g.hosts, strings.ToLower(strings.Trim(h, "[]")))
	}
	g.origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.refused("origin")
		problem(w, http.StatusForbidden, "a page of another site may not send this request")
	}))
	return g
}

// open are the paths that need no token: what load balancers ask, and the
// sign-in with the files that it loads.
func open(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/signin", "/docs/docs.css", "/docs/docs.js":
		return true
	}
	return false
}

func (g *guard) protect(next http.Handler) http.Handler {
	next = g.origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.knows(r.Host) {
			g.refused("host")
			problem(w, http.StatusForbidden, fmt.Sprintf("this server is not called %q: add the name to the allowed hosts", r.Host))
			return
		}
		if g.token == nil {
			if why := notLocal(r); why != "" {
				g.refused("address")
				problem(w, http.StatusForbidden, why)
				return
			}
			next.ServeHTTP(w, welcome(r))
			return
		}
		if g.admits(r) {
			next.ServeHTTP(w, welcome(r))
			return
		}
		if open(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		g.refused("token")
		if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.Redirect(w, r, "/signin", http.StatusSeeOther)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
		problem(w, http.StatusUnauthorized, "send the API token as `Authorization: Bearer <token>`")
	})
}

// authenticated is the context key of requests that may see everything.
type authenticated struct{}

func welcome(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), authenticated{}, true))
}

// knows checks a Host header: a page elsewhere on the web may resolve its own
// name to 127.0.0.1, but cannot make the browser send another name.
func (g *guard) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if slices.Contains(g.hosts, host) || host == "localhost" {
		return true
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return true
	}
	return g.token != nil && len(g.hosts) == 0
}

// notLocal says why a request without a token did not come from this machine, or "".
func notLocal(r *http.Request) string {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if ok && local.Network() == "tcp" && !isLoopback(local.String()) {
		return "without an API token only loopback is served: set a token to listen on other addresses"
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host"} {
		if r.Header.Get(h) != "" {
			return "this request came through a proxy (" + h + "): set an API token to serve others than this machine"
		}
	}
	return ""
}

// admits compares digests, so that neither content nor length of the
// token shows in the time that it takes.
func (g *guard) admits(r *http.Request) bool {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return g.isToken(strings.TrimSpace(token))
	}
	c, err := r.Cookie(sessionCookie)
	return err == nil && g.isSession(c.Value)
}

func (g *guard) isToken(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256(g.token)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// session is "expiry.mac": nothing is kept on the server, and another token
// ends every session.
func (g *guard) session(expires time.Time) string {
	exp := strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, g.token)
	mac.Write([]byte("weir api session " + exp))
	return exp + "." + hex.EncodeToString(mac.Sum(nil))
}

func (g *guard) isSession(value string) bool {
	exp, _, _ := strings.Cut(value, ".")
	n, err := strconv.ParseInt(exp, 10, 64)
	if err != nil {
		return false
	}
	want := g.session(time.Unix(n, 0))
	return hmac.Equal([]byte(value), []byte(want)) && g.now().Unix() < n
}

// signIn takes the token from a form and answers with a session cookie.
func (g *guard) signIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		problem(w, http.StatusBadRequest, "the body is not a form")
		return
	}
	if g.token == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if !g.isToken(strings.TrimSpace(r.PostForm.Get("token"))) {
		http.Redirect(w, r, "/signin?"+url.Values{"wrong": {"1"}}.Encode(), http.StatusSeeOther)
		return
	}
	expires := g.now().Add(sessionLife)
	http.SetCookie(w, cookie(r, g.session(expires), int(sessionLife/time.Second)))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *guard) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode}
}

// contentPolicy lets pages load from this server alone, without inline code.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
