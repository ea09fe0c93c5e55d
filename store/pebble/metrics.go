package pebble

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	documents, replaced, expired, days, sweepErrors prometheus.Counter
}

// newMetrics registers with r unless it is nil; the counters count either way.
func newMetrics(r prometheus.Registerer, db *pebble.DB) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_store_" + name, Help: help})
		if r != nil {
			r.MustRegister(c)
		}
		return c
	}
	if r != nil {
		r.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "weir_store_disk_bytes", Help: "Size of the hot store's files."},
			func() float64 { return float64(db.Metrics().DiskSpaceUsage()) },
		))
	}
	return &metrics{
		documents:   counter("documents_total", "Documents written to the hot store."),
		replaced:    counter("replaced_total", "Documents that replaced one with the same id at another time."),
		expired:     counter("expired_total", "Documents not written as they had expired on arrival."),
		days:        counter("swept_days_total", "Days of expired documents removed."),
		sweepErrors: counter("sweep_errors_total", "Failed attempts to remove expired documents."),
	}
}
