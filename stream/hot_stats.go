package stream

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/telemetry"
)

// HotStats is how far a Hot has come.
type HotStats struct {
	Partitions []HotPartition // by number
	// LastError is the latest error of store or log, nil after a success.
	LastError error
}

// HotPartition is how far one partition has come; -1 is nothing.
type HotPartition struct {
	Applied int64 // the last record that readers of the store see
	Durable int64 // the last record that a crash cannot take back
	// Watermark: all records enqueued before it are applied. Lag is how far it
	// is behind the clock; in an idle log it is as old as the last record, or as
	// the log's last empty batch.
	Watermark time.Time
	Lag       time.Duration
}

// hotState is what Stats shows, under its own lock.
type hotState struct {
	mu         sync.Mutex
	partitions []HotPartition
	err        error
	logged     map[string]bool // causes
	counts     hotCounts
}

// first reports whether cause comes for the first time.
func (s *hotState) first(cause string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logged[cause] {
		return false
	}
	if s.logged == nil {
		s.logged = make(map[string]bool)
	}
	s.logged[cause] = true
	return true
}

// odd logs a message that is kept in another way than its sender meant, once
// per cause.
func (h *Hot) odd(text string, m *telemetry.Message, cause error) {
	if h.stats.first(cause.Error()) {
		h.o.Logger.Warn(text, "job", h.o.Consumer, "device", m.DeviceID, "partition", m.Partition, "seq", m.Seq, "error", cause)
	}
}

// Stats returns how far h has come. It is empty before Run.
func (h *Hot) Stats() HotStats {
	now := h.o.Now()
	h.stats.mu.Lock()
	defer h.stats.mu.Unlock()
	s := HotStats{Partitions: slices.Clone(h.stats.partitions), LastError: h.stats.err}
	for i := range s.Partitions {
		if p := &s.Partitions[i]; !p.Watermark.IsZero() {
			p.Lag = max(0, now.Sub(p.Watermark))
		}
	}
	return s
}

func (s *hotState) begin(marks []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partitions = make([]HotPartition, len(marks))
	for p, seq := range marks {
		s.partitions[p].Applied, s.partitions[p].Durable = seq, seq
	}
}

func (s *hotState) applied(now time.Time, b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.count(now, b)
	for p := range s.partitions {
		s.partitions[p].Applied = max(s.partitions[p].Applied, b.last[p])
		if t := b.through[p]; t.After(s.partitions[p].Watermark) {
			s.partitions[p].Watermark = t
		}
	}
}

// undurable returns the applied positions, and whether any is not durable.
func (s *hotState) undurable() (marks []int64, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.partitions {
		marks = append(marks, p.Applied)
		some = some || p.Applied > p.Durable
	}
	return marks, some
}

func (s *hotState) durable(now time.Time, marks []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.flushed = now
	for p, seq := range marks {
		s.partitions[p].Durable = seq
	}
}

// failed notes err and reports whether it is news.
func (s *hotState) failed(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.err == nil || s.err.Error() != err.Error()
	s.err = err
	return news
}

// recovered reports whether there was an error until now.
func (s *hotState) recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.err != nil
	s.err = nil
	return had
}

// DeadLetterDevice is the device under which the store keeps what it would not
// take, or what is no document: at most deadLetters of them, the newer in place
// of the older. No payload can name it; the hub must not register it.
const DeadLetterDevice = "$deadletter"

const (
	deadLetters    = 128
	maxDeadLetter  = 64 << 10 // bytes of data that are kept of each; the log has all
	deadLetterLife = 30 * 24 * time.Hour
)

// deadLetter makes the document that stands for one that cannot be stored.
func (h *Hot) deadLetter(d store.Document, why error) store.Document {
	h.stats.dead()
	for _, cause := range []error{errRows, store.ErrInvalid, store.ErrTooLarge} {
		if errors.Is(why, cause) && h.stats.first(cause.Error()) {
			h.o.Logger.Error("a message cannot be stored as a document; it is kept as a dead letter (logged once)",
				"job", h.o.Consumer, "device", d.DeviceID, "id", clip(d.ID), "error", why)
		}
	}
	data, _ := json.Marshal(struct { // strings and numbers cannot fail
		ID       string    `json:"id"`
		DeviceID string    `json:"deviceId"`
		Enqueued time.Time `json:"enqueuedAt"`
		Cause    string    `json:"cause"`
		Bytes    int       `json:"bytes"`
		Body     string    `json:"body"` // base64
	}{clip(d.ID), clip(d.DeviceID), d.Time, why.Error(), len(d.Data), base64.StdEncoding.EncodeToString(d.Data[:min(len(d.Data), maxDeadLetter)])})
	slot := fnv.New32a()
	fmt.Fprintf(slot, "%s\x00%s", d.DeviceID, d.ID)
	now := h.o.Now()
	return store.Document{
		ID: fmt.Sprintf("%03d", slot.Sum32()%deadLetters), DeviceID: DeadLetterDevice,
		Time: now, Expires: now.Add(deadLetterLife), Data: data,
	}
}

// clip bounds an id that may be the very reason why a document was refused.
func clip(s string) string { return s[:min(len(s), maxDeviceID)] }

type hotMetrics struct {
	messages, documents, skipped, foreign, deadLetters, trimmed, errors prometheus.Counter
	notJSON                                                             *prometheus.CounterVec
}

func (m *hotMetrics) undecoded(err error) prometheus.Counter {
	return m.notJSON.WithLabelValues(cause(err))
}

// newHotMetrics registers with r unless it is nil; the counters count either way.
func newHotMetrics(r prometheus.Registerer, h *Hot) *hotMetrics {
	register := func(c prometheus.Collector) {
		if r != nil {
			r.MustRegister(c)
		}
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_stream_hot_" + name, Help: help})
		register(c)
		return c
	}
	m := &hotMetrics{
		messages:    counter("messages_total", "Records of the log applied to the hot store."),
		documents:   counter("documents_total", "Documents made of them."),
		skipped:     counter("skipped_total", "Records that are no telemetry of devices."),
		foreign:     counter("foreign_device_total", "Rows that named another device than the sender, who may not speak for it; kept under the sender."),
		deadLetters: counter("dead_letters_total", "Documents kept as dead letters, as the store would not take them."),
		trimmed:     counter("trimmed_records_total", "Records that retention removed from the log before they were applied."),
		errors:      counter("errors_total", "Failed attempts to write to the store or to read the log."),
		notJSON: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_stream_hot_not_json_total", Help: "Bodies that are not JSON, kept in base64, by cause."}, []string{"cause"}),
	}
	for c := range causes {
		m.notJSON.WithLabelValues(c) // shown from the start
	}
	register(m.notJSON)
	register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_stream_hot_lag_seconds", Help: "How far the slowest partition's watermark is behind the clock."},
		func() float64 {
			var lag time.Duration
			for _, p := range h.Stats().Partitions {
				lag = max(lag, p.Lag)
			}
			return lag.Seconds()
		}))
	return m
}
