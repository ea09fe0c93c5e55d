package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/weir-iot/weir/store/pebble"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkTelemetry3600 is the answer with an hour of one message a second
// from the store on disk, without the network and through a connection.
func BenchmarkTelemetry3600(b *testing.B) {
	st, err := pebble.Open(b.TempDir(), pebble.Options{Now: clock})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	put(b, st, "d1", 3600, time.Second)
	if err := st.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	h := handler(b, st, Options{})
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run("handler-"+encoding, func(b *testing.B) {
			b.ReportAllocs()
			r := httptest.NewRequest(http.MethodGet, "/devices/d1/telemetry?hours=1", nil)
			r.Host, r.RemoteAddr = "localhost", "10.0.0.9:1"
			r.Header.Set("Accept-Encoding", encoding)
			for b.Loop() {
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
	b.Run("http", func(b *testing.B) {
		srv := httptest.NewServer(h)
		defer srv.Close()
		for b.Loop() {
			resp, err := srv.Client().Get(srv.URL + "/devices/d1/telemetry?hours=1")
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if err != nil || resp.StatusCode != 200 {
				b.Fatalf("status %d: %v", resp.StatusCode, err)
			}
			b.SetBytes(n)
			resp.Body.Close()
		}
	})
}
