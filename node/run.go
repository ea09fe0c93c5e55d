package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/hub/rest"
)

// Bounds of the HTTPS and API servers.
const (
	headerTime  = 5 * time.Second  // from accept to the end of the header, TLS included
	idleTime    = 2 * time.Minute  // between requests of a connection
	bodyTime    = 60 * time.Second // to read a request; the largest body is 1 MB
	maxHeader   = 32 << 10         // bytes
	healthEvery = time.Second      // between looks for a problem to log
)

// Run serves until ctx ends, which is no error, or until something that the
// node cannot work without fails. Then it stops: the doors take nothing more and
// let out the acknowledgements of what they took, the jobs process what is
// in the log, the store is flushed, the log closed. Run runs once.
func (n *Node) Run(ctx context.Context) error {
	if n.jobs != nil {
		if err := n.hot.Check(ctx); err != nil {
			return errors.Join(fmt.Errorf("node: nothing is taken in: %w", err), n.close())
		}
	}
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	spawn := func(what string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && serving.Err() == nil {
				stop(fmt.Errorf("node: %s ended: %w", what, err))
			}
		})
	}
	doors, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoors()
	consuming, stopConsumers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopConsumers()

	web := n.httpsServer(doors)
	console := n.apiServer(doors)
	for _, d := range []struct {
		net.Listener
		serve func(net.Listener) error
	}{
		{n.listeners.mqtt, func(l net.Listener) error { return n.mqtt.Serve(doors, tls.NewListener(l, n.keys.TLS())) }},
		{n.listeners.plain, func(l net.Listener) error { return n.mqtt.Serve(doors, l) }},
		{n.listeners.https, func(l net.Listener) error { return web.ServeTLS(l, "", "") }},
		{n.listeners.standard, func(l net.Listener) error { return web.ServeTLS(l, "", "") }},
		{n.listeners.api, console.Serve},
	} {
		if d.Listener != nil {
			spawn("serving "+d.Addr().String(), func() error { return d.serve(d.Listener) })
		}
	}
	var consumers sync.WaitGroup
	if n.jobs != nil {
		consumers.Go(func() {
			if err := n.jobs.Run(consuming, n.queries); err != nil && serving.Err() == nil {
				stop(fmt.Errorf("node: the jobs ended: %w", err))
			}
		})
		consumers.Go(func() { n.tables.follow(consuming, n) })
	}
	wg.Go(func() { n.watch(serving) })
	wg.Go(func() { trimMemory(serving) })
	if n.jobs != nil {
		select {
		case <-n.jobs.started:
		case <-serving.Done():
		}
	}
	n.ready.Store(serving.Err() == nil)
	n.logger.Info("ready", "mqtt", n.state.MQTT, "https", n.state.HTTPS, "api", n.state.API, "data", n.config.Data)

	<-serving.Done()
	n.ready.Store(false)
	n.logger.Info("stopping")
	n.drain(web, console)
	closeDoors()
	wg.Wait()
	stopConsumers()
	consumers.Wait()
	err := n.close()
	if cause := context.Cause(serving); ctx.Err() == nil && cause != nil {
		err = errors.Join(cause, err)
	}
	n.logger.Info("stopped")
	return err
}

// Close closes a node that Run was not called on.
func (n *Node) Close() error { return n.close() }

// drain lets the doors finish what they have taken, for drainTime at most.
func (n *Node) drain(servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.mqtt.Shutdown(ctx); err != nil {
			n.logger.Warn("some devices did not take their last acknowledgements", "error", err)
		}
	})
	for _, s := range servers {
		wg.Go(func() {
			short, cancel := context.WithTimeout(ctx, time.Second) // live tails never end by themselves
			defer cancel()
			if s.Shutdown(short) != nil {
				_ = s.Close() // what is left is cut
			}
		})
	}
	wg.Wait()
}

// httpsServer serves devices and services; connections of WebSocket live until
// doors ends.
func (n *Node) httpsServer(doors context.Context) *http.Server {
	mux := http.NewServeMux()
	mux.Handle(mqtt.WebSocketPath, n.mqtt.WebSocket(doors))
	mux.Handle("/", rest.New(n.hub, rest.Options{Logger: n.logger, Metrics: n.metrics}))
	s := n.server(mux)
	s.ReadTimeout = bodyTime
	s.TLSConfig = n.keys.TLS("h2", "http/1.1")
	return s
}

// apiServer serves the API with the API's own bounds: its tails never end, and
// its bodies are small. Tails end with doors.
func (n *Node) apiServer(doors context.Context) *http.Server {
	return api.Server(doors, n.api, n.logger)
}

func (n *Node) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(counting{n.clientErrors}, "", 0),
	}
}

// counting counts what net/http says about its clients, failed TLS handshakes
// above all; they may do it as often as they like, so it is not logged.
type counting struct{ lines prometheus.Counter }

// Write implements io.Writer; log.Logger calls it once per message.
func (c counting) Write(line []byte) (int, error) {
	c.lines.Inc()
	return len(line), nil
}

// watch logs a problem when it appears and when it is gone.
func (n *Node) watch(ctx context.Context) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := ""
		if p := n.problems(); len(p) > 0 {
			now = p[0]
		}
		switch {
		case ctx.Err() != nil || now == told:
		case now != "":
			n.logger.Error("the node has a problem", "problem", now)
		default:
			n.logger.Info("the problem is gone", "problem", told)
		}
		told = now
	}
}
