// Package rest is the HTTPS door of the hub: the device API (send, receive and
// settle messages) and the service REST API 2021-04-12 (registry, twins,
// methods, queries, statistics), as Azure IoT Hub speaks them.
//
// It promises that a 204 for telemetry is sent after the message is durable,
// that every request is authorized for the very device or permission that its
// route needs before its body is read, and that bad input is answered with
// IoT Hub's own 4xx and error envelope. Rules live in package hub; this one
// translates.
//
// It leaves out jobs, configurations, digital twins and file upload. One route
// is Weir's own, until AMQP comes: POST /devices/{id}/messages/devicebound
// sends a cloud-to-device message for a service (see sendToDevice). And one
// thing is lost: HTTP header names have no case, so application properties of
// single messages arrive in lower case; batches keep theirs.
package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/hub"
)

// Options of the door; the zero value works.
type Options struct {
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: none
	Now     func() time.Time      // default time.Now
	// Timeout bounds a request from its header to its answer, but for direct
	// methods, which have timeouts of their own. Default 30 s.
	Timeout time.Duration
}

// DefaultTimeout is the default of Options.Timeout.
const DefaultTimeout = 30 * time.Second

// door is the handler that New returns.
type door struct {
	hub      *hub.Hub
	logger   *slog.Logger
	now      func() time.Time
	timeout  time.Duration
	requests *prometheus.CounterVec
}

// New returns the handler of all routes of h. It needs TLS and the bound on
// header size and time of an http.Server around it.
func New(h *hub.Hub, o Options) http.Handler {
	d := &door{hub: h, logger: o.Logger, now: o.Now, timeout: o.Timeout}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.timeout <= 0 {
		d.timeout = DefaultTimeout
	}
	d.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_rest_requests_total",
		Help: "Requests of the device and service REST APIs by route and HTTP status.",
	}, []string{"route", "status"})
	if o.Metrics != nil {
		o.Metrics.MustRegister(d.requests)
	}
	return d
}

// A call is one request with what its route says about it.
type call struct {
	*http.Request
	w       http.ResponseWriter
	door    *door
	hub     *hub.Hub
	id      hub.ID // {id} and {mid} of the path
	lock    string // {lock} of the path
	tracked string // x-ms-request-id, and the tracking id of errors
	status  int
}

// ServeHTTP finds the route, authorizes the request and runs it.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r, w: w, door: d, hub: d.hub, tracked: newTrackingID()}
	w.Header()["X-Ms-Request-Id"] = []string{c.tracked}
	c.limitBody()
	route, err := c.find()
	name := "none"
	if route != nil {
		name = route.name
	}
	if err == nil {
		err = c.run(route)
	}
	if err != nil {
		c.fail(route, err)
	}
	d.requests.WithLabelValues(name, strconv.Itoa(c.status)).Inc()
}

// run authorizes the request and handles it.
func (c *call) run(route *route) error {
	if !hasParameter(c.URL.RawQuery, "api-version") {
		return errVersion
	}
	if route.need != 0 {
		if err := c.hub.Authorize(c.Header.Get("Authorization"), route.resource(c), route.need); err != nil {
			return err
		}
	}
	if !route.slow {
		ctx, cancel := context.WithTimeout(c.Context(), c.door.timeout)
		defer cancel()
		c.Request = c.WithContext(ctx)
	}
	return route.handle(c)
}

// hasParameter says whether a query has a parameter of that name, without
// decoding the others.
func hasParameter(query, name string) bool {
	for part := range strings.SplitSeq(query, "&") {
		if key, _, _ := strings.Cut(part, "="); key == name {
			return true
		}
	}
	return false
}

// empty answers without a body.
func (c *call) empty(status int) error {
	c.status = status
	c.w.WriteHeader(status)
	return nil
}

// write answers with a body. An error of the connection has nobody to be told.
func (c *call) write(status int, contentType string, body []byte) {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.status = status
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body)
}

// newTrackingID is 32 hexadecimal digits.
func newTrackingID() string {
	var b [16]byte
	_, _ = io.ReadFull(rand.Reader, b[:]) // never fails
	return hex.EncodeToString(b[:])
}
