package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/stream"
)

// jobMetrics shows how the jobs do when it is asked; a job that is removed is
// gone from the metrics, too.
type jobMetrics struct{ jobs *stream.Jobs }

// jobMetric is one figure of a job.
type jobMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*stream.JobStatus) float64
}

func newJobMetric(name, help string, kind prometheus.ValueType, value func(*stream.JobStatus) float64) jobMetric {
	return jobMetric{prometheus.NewDesc("weir_stream_job_"+name, help, []string{"job"}, nil), kind, value}
}

var jobFigures = []jobMetric{
	newJobMetric("running", "1 while the job runs, 0 when it is stopped or has failed.", prometheus.GaugeValue,
		func(s *stream.JobStatus) float64 {
			if s.State == stream.JobRunning {
				return 1
			}
			return 0
		}),
	newJobMetric("events_total", "Events that came in.", prometheus.CounterValue,
		func(s *stream.JobStatus) float64 { return float64(s.Stats.Events) }),
	newJobMetric("rows_total", "Rows that were written.", prometheus.CounterValue,
		func(s *stream.JobStatus) float64 { return float64(s.Stats.Rows) }),
	newJobMetric("late_total", "Events beyond the time policy: late, early or out of order.", prometheus.CounterValue,
		func(s *stream.JobStatus) float64 {
			return float64(s.Stats.Late + s.Stats.Early + s.Stats.OutOfOrder)
		}),
	newJobMetric("dropped_total", "Those of them that were dropped.", prometheus.CounterValue,
		func(s *stream.JobStatus) float64 { return float64(s.Stats.Dropped) }),
	newJobMetric("dead_letters_total", "Events and rows that failed.", prometheus.CounterValue,
		func(s *stream.JobStatus) float64 { return float64(s.Stats.DeadLetters) }),
	newJobMetric("watermark_delay_seconds", "How far the watermark is behind the clock.", prometheus.GaugeValue,
		func(s *stream.JobStatus) float64 { return s.Stats.Delay.Seconds() }),
	newJobMetric("state_bytes", "Size of the newest checkpoints.", prometheus.GaugeValue,
		func(s *stream.JobStatus) float64 { return float64(s.Stats.StateBytes) }),
}

// Describe implements prometheus.Collector.
func (m jobMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range jobFigures {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m jobMetrics) Collect(out chan<- prometheus.Metric) {
	for _, s := range m.jobs.List() {
		for _, f := range jobFigures {
			out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&s), s.Name)
		}
	}
}
