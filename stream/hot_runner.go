package stream

import (
	"context"
	"time"
)

// Runner returns h as a job among others.
func (h *Hot) Runner() Runner { return hotRunner{h} }

type hotRunner struct{ h *Hot }

func (r hotRunner) Run(ctx context.Context) error { return r.h.Run(ctx) }

// Stats shows h as a job: its state is the marks in the store alone.
func (r hotRunner) Stats() JobStats {
	s := r.h.Stats()
	out := JobStats{Shards: 1, LastError: s.LastError}
	for p, part := range s.Partitions {
		out.Feeds = append(out.Feeds, FeedStats{Partition: p, Read: part.Applied, Watermark: part.Watermark})
		if part.Watermark.IsZero() {
			continue
		}
		if out.Watermark.IsZero() || part.Watermark.Before(out.Watermark) {
			out.Watermark = part.Watermark
		}
		out.Delay = max(out.Delay, part.Lag)
	}
	r.h.stats.counted(r.h.o.Now(), &out)
	return out
}

// hotCounts are what the hot consumer did since it was made.
type hotCounts struct {
	events, rows meter
	total        JobStats // Events, Rows, Undecoded, DeadLetters
	flushed      time.Time
}

// count adds a batch; the caller holds the lock of the state.
func (c *hotCounts) count(now time.Time, b *batch) {
	c.total.Events += int64(b.messages)
	c.total.Rows += int64(len(b.docs))
	c.events.add(now, int64(b.messages))
	c.rows.add(now, int64(len(b.docs)))
}

func (s *hotState) counted(now time.Time, out *JobStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Events, out.Rows, out.DeadLetters = s.counts.total.Events, s.counts.total.Rows, s.counts.total.DeadLetters
	out.EventsPerSecond, out.RowsPerSecond = s.counts.events.rate(now), s.counts.rows.rate(now)
	out.Checkpoint = s.counts.flushed
}

// dead counts a dead letter.
func (s *hotState) dead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.total.DeadLetters++
}
