package mqtt

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// Limits of the remaining length of a packet, in bytes.
const (
	maxConnect = 16 << 10  // before authentication
	maxPayload = 256 << 10 // of a message
	maxPacket  = 2 + mqtt311.MaxString + 2 + maxPayload
)

// A conn is one connection. Its goroutine reads, parses and hands telemetry to
// the hub; a second one lives while there is something to write, a third while
// the device waits for something that may wait for the disk. The hub's Receiver
// calls and the log's callbacks only put bytes into its outbound queue.
type conn struct {
	srv  *Server
	nc   net.Conn
	from origin
	in   input

	// Of the reading goroutine, set by connect.
	ctx       context.Context
	cancel    context.CancelFunc
	session   *hub.Session // nil: not authenticated
	admitted  bool         // counts as half open no more
	id        hub.ID
	names     names
	limit     int
	clean     bool
	will      *will
	batch     *batch       // being filled
	silence   int64        // ticks without a packet until the connection is dead
	seen      atomic.Int64 // tick of the last packet, or notRead
	spoke     spoke
	writeFunc func() // c.write, bound once

	mu       sync.Mutex
	changed  sync.Cond // inflight, outbound, worklist or closed changed
	closed   bool
	draining bool
	cause    string
	inflight int // bytes that wait for the log
	outbound
	worklist
	subs   subscriptions
	locks  map[uint16]string // packet identifier → lock token of a cloud-to-device message
	nextID uint16
}

var _ hub.Receiver = (*conn)(nil)

func newConn(s *Server, nc net.Conn, from origin) *conn {
	c := &conn{srv: s, nc: nc, from: from, in: newInput(nc), limit: maxConnect}
	c.changed.L = &c.mu
	c.writeFunc = c.write
	return c
}

// serve runs the connection from handshake to end.
func (c *conn) serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.kill(causeShutdown) })
	defer c.srv.release(c)
	defer stop()
	defer c.finish()
	defer c.recover()

	if !c.open() {
		return
	}
	c.run()
}

// recover keeps a bug from taking other connections down.
func (c *conn) recover() {
	if p := recover(); p != nil {
		c.srv.metrics.panics.Inc()
		c.srv.opt.Logger.Error("connection closed by a bug: please report it", "device", c.id.String(), "panic", p, "stack", string(debug.Stack()))
		c.kill(causePanic)
	}
}

// open authenticates the connection; false: it is refused.
func (c *conn) open() bool {
	m := c.srv.metrics
	_ = c.nc.SetDeadline(time.Now().Add(c.srv.opt.ConnectTimeout))
	certificates, err := handshake(c.ctx, c.nc)
	if err != nil {
		m.connects.WithLabelValues("tls").Inc()
		c.srv.opt.Logger.Debug("tls handshake failed", "remote", c.nc.RemoteAddr(), "error", err)
		return false
	}
	if certificates == nil {
		certificates = c.from.certificates
	}
	result, err := c.connect(certificates)
	m.connects.WithLabelValues(result).Inc()
	if err != nil {
		c.countError(err)
		switch result {
		case "unauthorized", "unavailable", "accepted": // the hub knows
		case "lost", "timeout": // port scans and health checks
			c.srv.opt.Logger.Debug("connection refused", "remote", c.nc.RemoteAddr(), "result", result, "error", err)
		default:
			c.srv.hub.LogRefusal(hub.Credential{Protocol: c.from.protocol, RemoteAddr: remoteAddr(c.nc)}, err.Error())
		}
		c.flushed()
		return false
	}
	_ = c.nc.SetDeadline(time.Time{})
	c.touch()
	c.srv.wheel.insert(c, c.silence)
	c.srv.authenticated(c)
	return true
}

// run serves packets until the connection ends.
func (c *conn) run() {
	c.unread()
	err := c.frames() // what came with CONNECT
	for err == nil {
		c.touch()
		if err = c.in.fill(); err == nil {
			c.unread()
			err = c.frames()
		}
	}
	cause := c.causeOf(err)
	c.countError(err)
	c.kill(cause)
}

var (
	errDisconnect = errors.New("hub/mqtt: DISCONNECT")
	errDraining   = errors.New("hub/mqtt: server is shutting down")
	errClosed     = errors.New("hub/mqtt: connection is closed")
)

func (c *conn) causeOf(err error) string {
	var he *hub.Error
	switch {
	case errors.Is(err, errDisconnect):
		c.worked()
		return causeClient
	case errors.Is(err, errDraining):
		c.answered()
		return causeShutdown
	case isProtocolError(err):
		c.srv.opt.Logger.Info("connection closed for what the device sent", "device", c.id.String(), "error", err)
		return causeProtocol
	case errors.As(err, &he):
		return c.hubCause(err)
	default:
		c.worked() // it left, what it asked for is done
		return causeLost
	}
}

// isProtocolError reports that the device sent what it must not.
func isProtocolError(err error) bool {
	var pe *protocolError
	return errors.As(err, &pe) || errors.Is(err, mqtt311.ErrMalformed) || errors.Is(err, errOverLimit)
}

// countError counts what a device did wrong, if err is that.
func (c *conn) countError(err error) {
	var pe *protocolError
	switch {
	case errors.As(err, &pe):
		c.srv.metrics.protocolErrors.WithLabelValues(pe.cause).Inc()
	case errors.Is(err, mqtt311.ErrMalformed), errors.Is(err, mqtt311.ErrProtocol):
		c.srv.metrics.protocolErrors.WithLabelValues(causeMalformed).Inc()
	case errors.Is(err, errOverLimit):
		c.srv.metrics.protocolErrors.WithLabelValues(errTooLarge.cause).Inc()
	}
}

// frames handles all whole packets that are there, in order.
func (c *conn) frames() error {
	for {
		h, body, ok, err := c.in.next(c.limit)
		if err != nil {
			return c.sendThen(err)
		}
		if !ok {
			break
		}
		if err := c.packet(h, body); err != nil {
			return c.sendThen(err)
		}
	}
	if err := c.send(); err != nil {
		return err
	}
	c.in.rest()
	return nil
}

// sendThen hands on what was taken before err.
func (c *conn) sendThen(err error) error {
	_ = c.send()
	return err
}

func (c *conn) packet(h mqtt311.Header, body []byte) error {
	switch h.Type {
	case mqtt311.PUBLISH:
		return c.publish(h.Flags, body)
	case mqtt311.PUBACK:
		return c.puback(body)
	case mqtt311.SUBSCRIBE:
		return c.subscribe(body)
	case mqtt311.UNSUBSCRIBE:
		return c.unsubscribe(body)
	case mqtt311.PINGREQ:
		if err := mqtt311.CheckEmpty(body); err != nil {
			return err
		}
		c.reply(mqtt311.AppendPingresp)
		return nil
	case mqtt311.DISCONNECT:
		if err := mqtt311.CheckEmpty(body); err != nil {
			return err
		}
		c.will = nil
		return errDisconnect
	default: // a second CONNECT, packets of servers and of QoS 2
		return errPacket
	}
}

// touch notes that the device was heard.
func (c *conn) touch() { c.seen.Store(c.srv.wheel.now.Load()) }

// unread notes that the device cannot be heard until touch: the server has not
// come to read what it sends.
func (c *conn) unread() { c.seen.Store(notRead) }

// notRead is a tick that is never reached.
const notRead = 1 << 62

// check is the wheel's look at the connection: it kills a dead one, or returns
// the ticks until the next look.
func (c *conn) check(now int64) int64 {
	c.mu.Lock()
	closed, stalled := c.closed, c.writing && now-c.writeSince > stallTimeout
	c.mu.Unlock()
	left := c.seen.Load() + c.silence - now
	switch {
	case closed:
		return 0
	case stalled:
		c.kill(causeStalled)
		return 0
	case left <= 0:
		c.kill(causeKeepAlive)
		return 0
	}
	return left
}

// Disconnect is how the hub ends the connection.
func (c *conn) Disconnect(reason error) { c.kill(disconnectCause(reason)) }

// kill ends the connection from anywhere, without waiting.
func (c *conn) kill(cause string) {
	c.mu.Lock()
	first := !c.closed
	if first {
		c.closed = true
		c.cause = cause
		c.changed.Broadcast()
	}
	c.mu.Unlock()
	if first {
		c.cancel()
		c.srv.wg.Go(func() { _ = c.nc.Close() }) // TLS and WebSocket say goodbye, within their own deadline
	}
}

// drain lets the connection write the acknowledgements of what it took, then
// ends it.
func (c *conn) drain() {
	c.mu.Lock()
	c.draining = true
	c.mu.Unlock()
	c.answered()
	c.kill(causeShutdown)
}

// answered waits until everything taken is acknowledged and written, or the
// connection is closed.
func (c *conn) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && (c.inflight > 0 || c.writing || c.working) {
		c.changed.Wait()
	}
}

// finish lets go of everything after the last packet.
func (c *conn) finish() {
	c.kill(causeLost) // where nothing else did
	c.srv.wheel.remove(c)
	c.in.drop()
	c.mu.Lock()
	for c.working {
		c.changed.Wait()
	}
	c.mu.Unlock()
	if c.session != nil {
		c.sendWill()
		c.session.Close()
	}
	c.mu.Lock()
	for c.inflight > 0 || c.writing || c.working {
		c.changed.Wait()
	}
	c.discard()
	cause := c.cause
	c.mu.Unlock()
	if c.session != nil {
		c.srv.metrics.disconnects.WithLabelValues(cause).Inc()
		c.srv.opt.Logger.Debug("device disconnected", "device", c.id.String(), "cause", cause)
	}
}
