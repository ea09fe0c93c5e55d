package hub

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	connects  *prometheus.CounterVec // by result
	ended     *prometheus.CounterVec // by reason
	messages  prometheus.Counter
	bytes     prometheus.Counter
	refused   prometheus.Counter
	full      prometheus.Counter
	methods   *prometheus.CounterVec // by result
	cloud     *prometheus.CounterVec // by outcome
	feedbacks prometheus.Counter
}

func newMetrics(r prometheus.Registerer, h *Hub) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	by := func(name, help, label string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	gauge("weir_hub_sessions", "Connected devices and modules.", func() float64 { return float64(h.connected()) })
	gauge("weir_hub_inflight_bytes", "Bytes of messages that wait for durability.", func() float64 { return float64(h.budget.used.Load()) })
	return &metrics{
		connects:  by("weir_hub_connects_total", "Attempts to connect.", "result"),
		ended:     by("weir_hub_sessions_ended_total", "Sessions that ended, by reason.", "reason"),
		messages:  counter("weir_hub_messages_total", "Device messages that became durable."),
		bytes:     counter("weir_hub_message_bytes_total", "Bytes of device messages that became durable."),
		refused:   counter("weir_hub_messages_refused_total", "Device messages that the hub or the log refused."),
		full:      counter("weir_hub_waits_total", "Sends that waited for the byte budget or a full log."),
		methods:   by("weir_hub_methods_total", "Direct method calls.", "result"),
		cloud:     by("weir_hub_cloud_messages_total", "Cloud-to-device messages, by what became of them.", "outcome"),
		feedbacks: counter("weir_hub_feedback_dropped_total", "Feedback records that nobody fetched in time."),
	}
}
