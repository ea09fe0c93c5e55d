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
	"testing/synctest"
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

// pipes is a listener of connections in memory, whose deadlines follow the
// test's clock.
type pipes struct{ conns chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

// TestSlowSendersAreCut: neither a header nor a body that trickles holds a
// connection, whatever is asked for.
func TestSlowSendersAreCut(t *testing.T) {
	for name, head := range map[string]string{
		"header":          "GET /devices HTTP/1.1\r\nHost: localhost\r\nX: ",
		"body":            "POST /signin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n\r\n",
		"unexpected body": "GET /readyz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := Server(t.Context(), handler(t, failing{}, Options{}), nil)
				l := pipes{make(chan net.Conn, 1)}
				go func() { _ = srv.Serve(l) }()
				client, server := net.Pipe()
				l.conns <- server
				go func() { _, _ = io.Copy(io.Discard, client) }()
				begin, err := time.Now(), error(nil)
				for _, err = io.WriteString(client, head); err == nil && time.Since(begin) < time.Hour; _, err = io.WriteString(client, "x") {
					time.Sleep(time.Second)
				}
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("it was let go after %s (%v)", took, err)
				}
				_ = client.Close()
				close(l.conns)
				_ = srv.Close()
			})
		})
	}
}
