package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkTelemetry3600 is the answer with an hour of one message a second,
// without the network and through a connection.
func BenchmarkTelemetry3600(b *testing.B) {
	h := handler(b, fill(b, "d1", 3600, time.Second), Options{})
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		r := httptest.NewRequest(http.MethodGet, "/devices/d1/telemetry?hours=1", nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:1"
		for b.Loop() {
			h.ServeHTTP(discard{http.Header{}}, r)
		}
	})
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run("http-"+encoding, func(b *testing.B) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			tr := &http.Transport{DisableCompression: true}
			defer tr.CloseIdleConnections()
			for b.Loop() {
				r, err := http.NewRequest(http.MethodGet, srv.URL+"/devices/d1/telemetry?hours=1", nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Accept-Encoding", encoding)
				resp, err := tr.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(fmt.Errorf("status %d: %w", resp.StatusCode, err))
				}
				b.SetBytes(n)
				resp.Body.Close()
			}
		})
	}
}
