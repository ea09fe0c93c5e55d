// Package mqtt is the hub's MQTT door: a server for exactly the MQTT 3.1.1
// that Azure IoT Hub speaks, over TLS, plain TCP and WebSocket.
//
// It promises that a PUBACK leaves only after the message is durable in the
// log, that acknowledgements leave in the order of the messages, that one
// connection never blocks another, and that memory per connection is bounded:
// by received bytes before authentication, by Options after. The identity of a
// connection is the one that the hub authenticated, never a topic's.
//
// It leaves out what IoT Hub leaves out: QoS 2, retained messages, messages
// between devices, topics of one's own, MQTT 5. Subscriptions of clients with
// CleanSession=0 outlive a connection in memory, not a restart: the hub then
// answers "no session present", and clients subscribe again.
package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/hub"
)

// Options configure a Server. The zero value works.
type Options struct {
	// ConnectTimeout bounds TLS handshake and CONNECT together. Default 5 s.
	ConnectTimeout time.Duration
	// HalfOpen bounds connections that are not authenticated yet; what comes
	// beyond is dropped and counted. Default 4,096.
	HalfOpen int
	// HalfOpenShare bounds those of HalfOpen that one address may have, or, of
	// IPv6, one /64 network, so that nobody locks out the others. Loopback,
	// where a proxy may stand, has no share. Default: half of HalfOpen.
	HalfOpenShare int
	// Connections bounds all connections, as HalfOpen does. Default 100,000.
	Connections int
	// InFlight bounds the bytes of one connection's messages that wait for
	// durability; beyond it the connection is not read. Default 1 MiB.
	InFlight int
	// Outbound bounds the bytes waiting to be written to one connection; a
	// device that reads so slowly is disconnected. Default 4 MiB: more than a
	// full cloud-to-device queue.
	Outbound int
	// Sessions bounds the number of remembered sessions of clients with
	// CleanSession=0; beyond it the one unused for longest is forgotten.
	// Default 100,000.
	Sessions int

	Now     func() time.Time      // default time.Now; for timestamps in error answers
	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // default: none
}

func (o Options) withDefaults() Options {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 5 * time.Second
	}
	if o.HalfOpen <= 0 {
		o.HalfOpen = 4096
	}
	if o.HalfOpenShare <= 0 {
		o.HalfOpenShare = max(o.HalfOpen/2, 1)
	}
	if o.Connections <= 0 {
		o.Connections = 100_000
	}
	if o.InFlight <= 0 {
		o.InFlight = 1 << 20
	}
	if o.Outbound <= 0 {
		o.Outbound = 4 << 20
	}
	if o.Sessions <= 0 {
		o.Sessions = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Server serves MQTT connections for one hub.
type Server struct {
	hub      *hub.Hub
	opt      Options
	metrics  *metrics
	sessions *sessions
	wheel    wheel

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	halfOpen  int
	shares    map[netip.Addr]int // of halfOpen
	wg        sync.WaitGroup     // connections; Add under mu while not closing
	stopTicks context.CancelFunc
	ticks     sync.WaitGroup
}

// ErrServerClosed is returned by Serve and ServeConn after Shutdown.
var ErrServerClosed = errors.New("hub/mqtt: server is shut down")

// NewServer returns a server that lets devices talk to h.
func NewServer(h *hub.Hub, opt Options) *Server {
	opt = opt.withDefaults()
	return &Server{
		hub:       h,
		opt:       opt,
		metrics:   newMetrics(opt.Metrics),
		sessions:  newSessions(opt.Sessions),
		listeners: map[net.Listener]struct{}{},
		conns:     map[*conn]struct{}{},
		shares:    map[netip.Addr]int{},
	}
}

// Serve accepts connections until ctx is cancelled, which closes them at once,
// or until Shutdown, which lets them finish. The listener is plain or one of
// tls.NewListener: handshakes run in the goroutine of their connection. It
// closes the listener, waits for its connections, and returns nil after
// cancellation, ErrServerClosed after Shutdown.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if !s.addListener(ln) {
		_ = ln.Close()
		return ErrServerClosed
	}
	defer s.removeListener(ln)
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()

	for delay := time.Duration(0); ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			delay = 0
			c, err := s.admit(ctx, nc, origin{protocol: "mqtt"})
			if err != nil {
				_ = nc.Close()
				continue
			}
			wg.Go(func() { c.serve(ctx) })
		case s.isClosing():
			wg.Wait()
			return ErrServerClosed
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // too many open files, a connection reset before accept
			s.metrics.acceptErrors.Inc()
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			s.opt.Logger.Warn("cannot accept a connection", "error", err, "retry", delay)
			select {
			case <-ctx.Done():
			case <-time.After(delay):
			}
		}
	}
}

// ServeConn serves one connection until it ends, ctx is cancelled or Shutdown.
// protocol is what the hub records: "mqtt", "mqtt-ws". It closes nc.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn, protocol string) error {
	return s.serveConn(ctx, nc, origin{protocol: protocol})
}

func (s *Server) serveConn(ctx context.Context, nc net.Conn, from origin) error {
	c, err := s.admit(ctx, nc, from)
	if err != nil {
		_ = nc.Close()
		return err
	}
	c.serve(ctx)
	return nil
}

// An origin is what a connection is known by besides its bytes.
type origin struct {
	protocol     string
	certificates []*x509.Certificate // of a client below a WebSocket
	share        netip.Addr          // whose share of half-open connections it counts in; zero: nobody's
}

// shareOf is whom a connection from a counts for: an IPv4 address, or a /64 of
// IPv6, which is what one customer has. Zero: loopback, or no address at all.
func shareOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.IsLoopback() {
		return netip.Addr{}
	}
	if ip.Is6() {
		ip = netip.PrefixFrom(ip, 64).Masked().Addr()
	}
	return ip
}

var errCrowded = errors.New("hub/mqtt: too many connections")

// admit makes a connection that counts as half open; serve releases it. From
// here on Shutdown may end it, before it is served, too.
func (s *Server) admit(ctx context.Context, nc net.Conn, from origin) (*conn, error) {
	from.share = shareOf(nc.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return nil, ErrServerClosed
	case from.share.IsValid() && s.shares[from.share] >= s.opt.HalfOpenShare:
		s.metrics.connects.WithLabelValues("half_open_share").Inc()
		return nil, errCrowded
	case s.halfOpen >= s.opt.HalfOpen:
		s.metrics.connects.WithLabelValues("half_open").Inc()
		return nil, errCrowded
	case len(s.conns) >= s.opt.Connections:
		s.metrics.connects.WithLabelValues("too_many").Inc()
		return nil, errCrowded
	}
	if s.stopTicks == nil {
		var ctx context.Context
		ctx, s.stopTicks = context.WithCancel(context.Background())
		s.ticks.Go(func() { s.wheel.run(ctx) })
	}
	c := newConn(s, nc, from)
	c.ctx, c.cancel = context.WithCancel(ctx)
	s.conns[c] = struct{}{}
	s.halfOpen++
	if from.share.IsValid() {
		s.shares[from.share]++
	}
	s.wg.Add(1)
	s.metrics.connections.Inc()
	return c, nil
}

// authenticated tells that c is not half open any more.
func (s *Server) authenticated(c *conn) {
	s.mu.Lock()
	c.admitted = true
	s.opened(c)
	s.mu.Unlock()
}

// opened ends what counts c as half open, under s.mu.
func (s *Server) opened(c *conn) {
	s.halfOpen--
	if !c.from.share.IsValid() {
		return
	}
	if s.shares[c.from.share]--; s.shares[c.from.share] == 0 {
		delete(s.shares, c.from.share)
	}
}

func (s *Server) release(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if !c.admitted {
		s.opened(c)
	}
	s.mu.Unlock()
	s.metrics.connections.Dec()
	s.wg.Done()
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) removeListener(ln net.Listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
	_ = ln.Close()
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Shutdown closes the listeners, lets every connection write the
// acknowledgements of what it took, closes them and waits for them. When ctx
// ends first, it closes them as they are and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for ln := range s.listeners {
		_ = ln.Close()
	}
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	stopTicks := s.stopTicks
	s.mu.Unlock()

	stop := context.AfterFunc(ctx, func() {
		for _, c := range conns {
			c.kill(causeShutdown)
		}
	})
	defer stop()
	for _, c := range conns {
		c.drain()
	}
	s.wg.Wait()
	if stopTicks != nil {
		stopTicks()
	}
	s.ticks.Wait()
	return ctx.Err()
}

// handshake completes TLS, where nc has it, and returns the client's certificates.
func handshake(ctx context.Context, nc net.Conn) ([]*x509.Certificate, error) {
	t, ok := nc.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return t.ConnectionState().PeerCertificates, nil
}
