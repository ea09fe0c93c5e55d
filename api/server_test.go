package api

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestShutdownDoesNotWaitForTails: cancelling the server's context ends what
// would never end by itself.
func TestShutdownDoesNotWaitForTails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := Server(ctx, handler(t, failing{}, Options{}), nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	resp, err := http.Get("http://" + ln.Addr().String() + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	cancel()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// TestCompression: for clients that ask and are elsewhere.
func TestCompression(t *testing.T) {
	h := handler(t, fill(t, "d", 3600, time.Second), Options{Token: secret})
	plain := get(h, "/devices/d/telemetry", asking("127.0.0.1:5000", "gzip"))
	if enc := plain.Header().Get("Content-Encoding"); enc != "" {
		t.Errorf("over loopback: %s", enc)
	}
	if enc := get(h, "/devices/d/telemetry", asking("10.0.0.9:5000", "")).Header().Get("Content-Encoding"); enc != "" {
		t.Errorf("not asked for: %s", enc)
	}
	zipped := get(h, "/devices/d/telemetry", asking("10.0.0.9:5000", "gzip"))
	if enc := zipped.Header().Get("Content-Encoding"); enc != "gzip" || zipped.Body.Len() > plain.Body.Len()/3 {
		t.Fatalf("%q, %d bytes of %d", enc, zipped.Body.Len(), plain.Body.Len())
	}
	r, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r); err != nil || string(body) != plain.Body.String() {
		t.Errorf("compressed and plain answers differ (%v)", err)
	}
	if enc := get(h, "/devices/nobody/telemetry", asking("10.0.0.9:5000", "gzip")).Header().Get("Content-Encoding"); enc != "" {
		t.Errorf("a short answer: %s", enc)
	}
	if vary := zipped.Header().Values("Vary"); !strings.Contains(strings.Join(vary, ","), "Accept-Encoding") {
		t.Errorf("Vary: %v", vary)
	}
}

// asking makes a request one of a client with the token at an address.
func asking(addr, encoding string) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr = addr
		r.Header.Set("Authorization", "Bearer "+secret)
		if encoding != "" {
			r.Header.Set("Accept-Encoding", encoding)
		}
	}
}
