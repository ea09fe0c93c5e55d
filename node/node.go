// Package node turns a configuration into a running system: it takes the data
// folder, opens the ports, keys and engines, starts doors and consumers, and
// stops them in the order that loses nothing.
//
// It promises that a second node never runs on the same data folder, that what
// cannot be opened is said with its reason and remedy before anything is served,
// and that commands on the same machine find the node through its data folder
// (State). It leaves out every rule of hub, log and store. open.go is the only
// file that knows which engines there are.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/pki"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/stream"
)

// drainTime bounds how long a stop waits for doors, and again for each engine.
const drainTime = 10 * time.Second

// A Node is an opened system; Run starts it. What Open opened, Run closes.
type Node struct {
	config  *config.Config
	logger  *slog.Logger
	metrics *prometheus.Registry
	state   *State
	ready   atomic.Bool // serving

	lock      *os.File
	listeners *listeners
	keys      *pki.Authority
	log       *namedLog   // of telemetry
	logs      []*namedLog // all, that of telemetry first
	registry  hub.Registry
	store     store.Store
	hub       *hub.Hub
	hot       *stream.Hot
	jobs      *jobs // nil without the role stream
	alerts    *api.Alerts
	tables    references         // of reference data
	functions *Functions         // in JavaScript
	files     []io.Closer        // of outputs
	queries   []stream.JobConfig // of the configuration
	mqtt      *mqtt.Server
	api       http.Handler

	clientErrors prometheus.Counter // of HTTPS
}

// Open opens everything that c names and serves nothing yet: connections wait
// at the ports until Run. version is the program's. After an error nothing is
// open.
func Open(ctx context.Context, c *config.Config, version string, logger *slog.Logger) (_ *Node, err error) {
	n := &Node{config: c, logger: logger, metrics: newRegistry(), clientErrors: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "weir_node_https_errors_total", Help: "Connections to HTTPS that failed before a request: TLS handshakes above all."})}
	n.metrics.MustRegister(n.clientErrors)
	defer func() {
		if err != nil {
			_ = n.close() // the first error says why
		}
	}()
	if n.lock, err = lock(c.Data); err != nil {
		return nil, err
	}
	if n.listeners, err = listen(ctx, c, logger); err != nil {
		return nil, err
	}
	if err := n.openKeys(); err != nil {
		return nil, err
	}
	if err := n.openEngines(); err != nil {
		return nil, err
	}
	if err := n.openHub(); err != nil {
		return nil, err
	}
	if err := n.openDoors(ctx, version); err != nil {
		return nil, err
	}
	if n.state, err = n.describe(version); err != nil {
		return nil, err
	}
	return n, writeState(c.Data, n.state)
}

// State says where n listens.
func (n *Node) State() *State { return n.state }

// openKeys opens or makes the certificates.
func (n *Node) openKeys() (err error) {
	machine, err := os.Hostname()
	if err != nil {
		machine = "localhost" // the other names do
	}
	n.keys, err = pki.Open(pki.Options{
		Dir:   filepath.Join(n.config.Data, tlsDir),
		Names: certificateNames(n.config, machine, n.listeners),
		RSA:   n.config.TLS.Key == "rsa",
		Warn: func(err error) {
			n.logger.Error("the server certificate was not renewed; the old one is still served", "error", err)
		},
	})
	return err
}

// openHub starts the hub on the engines.
func (n *Node) openHub() error {
	policies, err := hub.LoadPolicies(PolicyFile(n.config.Data))
	if err != nil {
		return err
	}
	n.hub, err = hub.New(hub.Options{
		Registry: n.registry, Log: n.log, Policies: policies, HostName: n.config.Hub.HostName,
		InFlight: int(n.config.Limits.InFlight), Logger: n.logger, Metrics: n.metrics,
	})
	return err
}

func (n *Node) describe(version string) (*State, error) {
	ca, err := filepath.Abs(n.keys.CAFile())
	if err != nil {
		return nil, fmt.Errorf("node: naming the CA: %w", err)
	}
	s := &State{
		PID: os.Getpid(), Version: version, Started: time.Now().UTC().Truncate(time.Millisecond),
		HostName: n.config.Hub.HostName, MQTT: dialable(n.listeners.mqtt),
		APIToken: n.config.API.Token, CA: ca,
	}
	if l := n.listeners.api; l != nil {
		s.API = "http://" + dialable(l)
	}
	if l := n.listeners.standard; l != nil {
		s.HTTPS = append(s.HTTPS, dialable(l))
	}
	s.HTTPS = append(s.HTTPS, dialable(n.listeners.https))
	if l := n.listeners.plain; l != nil {
		s.MQTTPlain = dialable(l)
	}
	return s, nil
}

// close closes what is open, in the order that nothing acknowledged waits for
// something closed: hub, store, registry, log.
func (n *Node) close() error {
	var errs []error
	if n.listeners != nil {
		n.listeners.close()
	}
	if n.hub != nil {
		errs = append(errs, wrap("stopping the hub", n.hub.Close()))
	}
	if n.functions != nil {
		errs = append(errs, wrap("ending the functions", n.functions.Close()))
	}
	for _, f := range n.files {
		errs = append(errs, wrap("closing a file of rows", f.Close()))
	}
	if n.store != nil {
		errs = append(errs, wrap("closing the store", n.store.Close()))
	}
	if n.registry != nil {
		errs = append(errs, wrap("closing the registry", n.registry.Close()))
	}
	for _, l := range n.logs {
		errs = append(errs, wrap("closing the log "+l.name, l.Close()))
	}
	if n.lock != nil {
		if n.state != nil {
			errs = append(errs, removeState(n.config.Data))
		}
		errs = append(errs, wrap("giving back the data folder", n.lock.Close()))
	}
	return errors.Join(errs...)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("node: %s: %w", doing, err)
}
