package disk

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the writer does; what Stats knows is collected from there.
type metrics struct {
	records, bytes, groups prometheus.Counter
	sync                   prometheus.Histogram
	all                    []prometheus.Collector
}

func (l *Log) register(r prometheus.Registerer) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weir", Subsystem: "eventlog", Name: name, Help: help})
	}
	m := &metrics{
		records: counter("appended_records_total", "Records written."),
		bytes:   counter("appended_bytes_total", "Bytes written, headers included."),
		groups:  counter("groups_total", "Groups written; each takes one sync at level sync."),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "weir", Subsystem: "eventlog", Name: "sync_seconds", Help: "How long a sync takes.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 15),
		}),
	}
	m.all = []prometheus.Collector{m.records, m.bytes, m.groups, m.sync}
	for _, g := range []struct {
		name, help string
		value      func(*Stats) float64
	}{
		{"segments", "Segment files.", func(s *Stats) float64 { return float64(s.Segments) }},
		{"bytes", "Bytes of segment files.", func(s *Stats) float64 { return float64(s.Bytes) }},
		{"waiting_bytes", "Bytes that wait for the disk.", func(s *Stats) float64 { return float64(s.Waiting) }},
		{"damaged_bytes", "Damaged bytes set aside since the start.", func(s *Stats) float64 { return float64(s.DamagedBytes) }},
		{"damaged_records", "Records missing through damage, found since the start.", func(s *Stats) float64 { return float64(s.DamagedRecords) }},
		{"cut_bytes", "Bytes of a torn tail cut at the start.", func(s *Stats) float64 { return float64(s.CutBytes) }},
		{"withheld", "1 while acknowledgements wait for space or a required consumer.", func(s *Stats) float64 { return oneIf(s.Withheld != "") }},
		{"failed", "1 after an I/O error stopped the log for good.", func(s *Stats) float64 { return oneIf(s.Failed != nil) }},
	} {
		m.all = append(m.all, prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Namespace: "weir", Subsystem: "eventlog", Name: g.name, Help: g.help},
			func() float64 { s := l.Stats(); return g.value(&s) }))
	}
	l.metrics = m
	if r == nil {
		return nil
	}
	for i, c := range m.all {
		if err := r.Register(c); err != nil {
			for _, c := range m.all[:i] {
				r.Unregister(c)
			}
			return fmt.Errorf("eventlog/disk: registering metrics: %w", err)
		}
	}
	return nil
}

func (l *Log) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range l.metrics.all {
		r.Unregister(c)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) wrote(records, bytes int) {
	m.groups.Inc()
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
}

func (m *metrics) synced(d time.Duration) { m.sync.Observe(d.Seconds()) }
