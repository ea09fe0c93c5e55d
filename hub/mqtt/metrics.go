package mqtt

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/hub"
)

// metrics counts; labels are constants of this package, never what a device sent.
type metrics struct {
	connections    prometheus.Gauge
	connects       *prometheus.CounterVec // by result
	disconnects    *prometheus.CounterVec // by cause
	protocolErrors *prometheus.CounterVec // by cause
	publishes      prometheus.Counter
	publishedBytes prometheus.Counter
	pubacks        prometheus.Counter
	undeliverable  prometheus.Counter
	acceptErrors   prometheus.Counter
	panics         prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_mqtt_" + name + "_total", Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_mqtt_" + name + "_total", Help: help}, []string{label})
	}
	m := &metrics{
		connections:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "weir_mqtt_connections", Help: "Open MQTT connections."}),
		connects:       vec("connects", "Attempts to connect, by result.", "result"),
		disconnects:    vec("disconnects", "Ended connections of authenticated devices, by cause.", "cause"),
		protocolErrors: vec("protocol_errors", "Connections closed for what they sent, by cause.", "cause"),
		publishes:      counter("publishes", "Telemetry messages received."),
		publishedBytes: counter("published_bytes", "Bytes of telemetry payloads received."),
		pubacks:        counter("pubacks", "Telemetry messages acknowledged after they were durable."),
		undeliverable:  counter("undeliverable", "Cloud-to-device messages that no MQTT packet can hold."),
		acceptErrors:   counter("accept_errors", "Connections that could not be accepted."),
		panics:         counter("panics", "Connections closed by a bug of the server."),
	}
	if r != nil {
		r.MustRegister(m.connections, m.connects, m.disconnects, m.protocolErrors, m.publishes,
			m.publishedBytes, m.pubacks, m.undeliverable, m.acceptErrors, m.panics)
	}
	return m
}

// Causes of a disconnect.
const (
	causeClient    = "client"    // DISCONNECT
	causeLost      = "lost"      // the network, or a client that just left
	causeKeepAlive = "keepalive" // nothing heard for 1.5 × keep alive
	causeProtocol  = "protocol"  // see protocol_errors
	causeSlow      = "slow"      // more than Options.Outbound waited to be written
	causeStalled   = "stalled"   // no byte could be written for stallTimeout
	causeLog       = "log"       // the log refused a message
	causeHub       = "hub"       // the hub could not settle or subscribe
	causeReplaced  = "replaced"
	causeExpired   = "expired"
	causeRevoked   = "revoked"
	causeShutdown  = "shutdown"
	causePanic     = "panic"
)

func disconnectCause(reason error) string {
	switch {
	case errors.Is(reason, hub.ErrReplaced):
		return causeReplaced
	case errors.Is(reason, hub.ErrExpired):
		return causeExpired
	case errors.Is(reason, hub.ErrRevoked):
		return causeRevoked
	case errors.Is(reason, hub.ErrUnavailable):
		return causeShutdown
	default:
		return causeHub
	}
}

// A protocolError closes a connection for what the device sent.
type protocolError struct {
	cause string // the label of protocol_errors
	what  string
}

func (e *protocolError) Error() string { return "hub/mqtt: " + e.what }

var (
	errNotConnect = &protocolError{"not_connect", "the first packet is not CONNECT"}
	errBigConnect = &protocolError{"large_connect", "packet of more than 16 KB before authentication"}
	errTooLarge   = &protocolError{"too_large", "message of more than 256 KB"}
	errPacket     = &protocolError{"packet", "packet that a client does not send here"}
	errQoS2       = &protocolError{"qos2", "PUBLISH with QoS 2: IoT Hub takes 0 and 1"}
	errTopic      = &protocolError{"topic", "PUBLISH to a topic that IoT Hub does not document for this device"}
	errFilter     = &protocolError{"filter", "topic filter that IoT Hub does not document for this device"}
	errRequestID  = &protocolError{"rid", "topic without $rid or with one of more than 1 KB, or with a bad status"}
	errWill       = &protocolError{"will", "will that is not telemetry of this device with QoS 0 or 1"}
)

const causeMalformed = "malformed" // packets that the codec refuses
