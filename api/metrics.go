package api

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
	slow     prometheus.Counter
	refused  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, tails func() float64) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_api_requests_total", Help: "Requests answered, by route and status code."}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_api_request_seconds", Help: "Time to answer a request, live tails left out.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}}, []string{"route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_api_panics_total", Help: "Requests that ended in a programming error."}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_api_slow_tails_total", Help: "Live tails cut because the client did not read."}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_api_refused_total", Help: "Requests turned away before any route: a Host of another name, an address or proxy that needs a token, no token, a page of another origin."}, []string{"cause"}),
	}
	if reg == nil {
		return m, nil
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "weir_api_tails", Help: "Live tails that are open."}, tails)
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.panics, m.slow, m.refused, open} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("api: registering metrics: %w", err)
		}
	}
	return m, nil
}

// count measures every request under the pattern of its route, never under its
// path, so that the number of series is bounded.
func (m *metrics) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(sw, r)
		m.requests.WithLabelValues(r.Pattern, strconv.Itoa(sw.status)).Inc()
		if !streams(r.URL.Path) {
			m.seconds.WithLabelValues(r.Pattern).Observe(time.Since(start).Seconds())
		}
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(code int) {
	w.status = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// compress returns a wrapper that compresses answers for clients that ask for
// it over a network. Over loopback it would cost more time than it saves.
func compress() (func(http.Handler) http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.CompressionLevel(1), gzhttp.ContentTypes([]string{
		"application/json", "application/problem+json", "application/openapi+json", "application/openapi+yaml",
		"text/html", "text/css", "text/javascript", "text/plain"}))
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		zipped := wrap(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if streams(r.URL.Path) || isLoopback(r.RemoteAddr) {
				next.ServeHTTP(w, r)
				return
			}
			zipped.ServeHTTP(w, r)
		})
	}, nil
}

// streams tells whether an answer at path is sent piece by piece, however long
// that takes.
func streams(path string) bool {
	return path == livePath || path == alertTailPath || path == replayPath
}

// isLoopback tells whether addr ("host:port") is of this machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
