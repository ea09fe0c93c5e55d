// Package api is the present stage: REST with OpenAPI over the hot store, the
// registry and the log, a live tail, health and metrics, and the door through
// which the dashboard is served.
//
// It promises that a request never changes a device, that no key or token is
// ever in an answer, that without a token only this machine is served (and only
// under a name that it is known by), that a bad request is answered with a 4xx
// whose detail says what to change, and that neither a slow client nor a large
// answer grows its memory or slows the log. It leaves out the service API of
// IoT Hub (hub/rest) and listening itself: node opens the listeners.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/store"
)

// Limits of the API. What goes beyond is refused with an error that names them.
const (
	MaxHours     = 24 * 366 * 10 // of ?hours=
	MaxLimit     = 10_000        // rows of one page
	MaxPageBytes = 8 << 20       // a page ends early beyond this many bytes of documents
	MaxTails     = 32            // live tails at once, unless Options says otherwise
	MaxBody      = 64 << 10      // bytes of a request body
	MaxHeader    = 32 << 10      // bytes of request line and headers
	MinToken     = 16            // characters of a token
)

// Options configure an API. Store, Log and Hub are required.
type Options struct {
	Store store.Store
	Log   eventlog.Reader
	Hub   *hub.Hub
	// Jobs are the Stream Analytics jobs; nil: there are none.
	Jobs Jobs
	// Alerts are what the jobs wrote to outputs of that kind; nil: there are none.
	Alerts *Alerts
	// Health reports the state of the whole node; nil: always ready and well.
	Health func(context.Context) Health
	// Web serves "/" and "/assets/"; nil: "/" is not found.
	Web http.Handler
	// Token is what every request must carry, as a bearer token or by signing
	// in; at least MinToken characters. Without one, only connections to a
	// loopback address are served.
	Token string
	// AllowedHosts are names (without port) of this server beside localhost and
	// the loopback addresses: other Host headers are refused, so that no page on
	// the web reaches the API by DNS rebinding. With a token and no names, every
	// Host is served.
	AllowedHosts []string
	MaxTails     int                   // default MaxTails
	Version      string                // of the program, for openapi.json; default "dev"
	Gatherer     prometheus.Gatherer   // what /metrics shows; default: nothing
	Metrics      prometheus.Registerer // default: none
	Now          func() time.Time      // default time.Now
	Logger       *slog.Logger          // default: discards
}

// server holds what the handlers share.
type server struct {
	Options
	guard   *guard
	huma    huma.API
	metrics *metrics
	tails   chan struct{} // one element per open tail
	replays chan struct{} // one element per replay
}

// New returns the handler of the whole API.
func New(o Options) (http.Handler, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	s.routes(mux)
	return s.wrap(mux)
}

func (s *server) routes(mux *http.ServeMux) {
	s.huma = humago.New(mux, describe(s.Version))
	s.registerTelemetry()
	s.registerDevices()
	s.registerLive()
	s.registerJobs()
	s.registerReplay()
	s.registerAlerts()
	s.registerHealth()
	s.mountPages(mux)
}

func newServer(o Options) (*server, error) {
	if o.Store == nil || o.Log == nil || o.Hub == nil {
		return nil, errors.New("api: Options needs Store, Log and Hub")
	}
	if o.Token != "" && len(o.Token) < MinToken {
		return nil, fmt.Errorf("api: the token has fewer than %d characters: choose a longer one, such as the output of `openssl rand -hex 32`", MinToken)
	}
	if o.MaxTails <= 0 {
		o.MaxTails = MaxTails
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Gatherer == nil {
		o.Gatherer = prometheus.NewRegistry()
	}
	if o.Jobs == nil {
		o.Jobs = noJobs{}
	}
	if o.Alerts == nil {
		o.Alerts = &Alerts{}
	}
	s := &server{Options: o, tails: make(chan struct{}, o.MaxTails), replays: make(chan struct{}, maxReplays)}
	s.guard = newGuard(o.Token, o.AllowedHosts, o.Now)
	var err error
	if s.metrics, err = newMetrics(o.Metrics, func() float64 { return float64(len(s.tails)) }); err != nil {
		return nil, err
	}
	s.guard.refused = func(cause string) { s.metrics.refused.WithLabelValues(cause).Inc() }
	return s, nil
}

// describe is the head of openapi.json.
func describe(version string) huma.Config {
	c := huma.DefaultConfig("Weir", version)
	c.Info.Description = "Recent telemetry, devices and their twins, a live tail, and the node's health. " +
		"Errors are problem details (RFC 9457) whose detail says what is wrong."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "Needed on every address but loopback; /healthz and /readyz are open."},
	}
	c.Security = []map[string][]string{{"token": {}}, {}}
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "/openapi", "", "" // no pages with third-party assets
	c.CreateHooks = nil                                           // no $schema keys in answers
	c.Transformers = []huma.Transformer{explain}
	return c
}

// mountPages adds what is not part of the REST API.
func (s *server) mountPages(mux *http.ServeMux) {
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Gatherer, promhttp.HandlerOpts{}))
	mux.Handle("GET /docs", page("docs/index.html"))
	mux.Handle("GET /docs/docs.js", page("docs/docs.js"))
	mux.Handle("GET /docs/docs.css", page("docs/docs.css"))
	mux.Handle("GET /signin", page("docs/signin.html"))
	mux.HandleFunc("POST /signin", s.guard.signIn)
	mux.HandleFunc("POST /signout", s.guard.signOut)
	if s.Web != nil {
		mux.Handle("GET /{$}", s.Web)
		mux.Handle("GET /assets/", s.Web)
	}
	mux.HandleFunc("/", notFound(mux))
}

// wrap puts the guards around the routes; the first named here sees a request first.
func (s *server) wrap(mux *http.ServeMux) (http.Handler, error) {
	squeeze, err := compress()
	if err != nil {
		return nil, fmt.Errorf("api: compression: %w", err)
	}
	h := squeeze(s.metrics.count(mux))
	h = http.MaxBytesHandler(h, MaxBody)
	h = s.guard.protect(h)
	h = secureHeaders(h)
	return s.recover(h), nil
}

// Server returns an HTTP server with the time-outs and limits that the API
// needs. Cancelling ctx ends its live tails, so that Shutdown need not wait for them.
func Server(ctx context.Context, h http.Handler, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      writeTimeout, // streams extend it as long as the client reads
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    MaxHeader,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// writeTimeout is how long a client may take to accept what is written at once.
const writeTimeout = 15 * time.Second
