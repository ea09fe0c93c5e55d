package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/internal/fleet"
)

const (
	// lanes is how many goroutines write at a fixed rate.
	lanes = 2
	// pace is how long a lane sleeps at least: several messages leave per turn,
	// on connections of their own.
	pace = 500 * time.Microsecond
	// pacedWindow bounds the messages in flight of a connection at a fixed rate.
	pacedWindow = 256
)

// A stream is one connection at a fixed rate.
type stream struct {
	conn    net.Conn
	ring    *ring
	seq     uint64 // of the lane
	done    atomic.Uint64
	due     [pacedWindow]atomic.Int64 // Unix nanoseconds
	acked   *atomic.Uint64
	latency *atomic.Pointer[fleet.Histogram]
}

// paced sends at a fixed rate. Latency counts from the moment when a message
// was due, so that a stall of the server is not hidden by messages never sent.
func paced(ctx context.Context, s *settings, d *dialer) (*result, error) {
	conns, err := all(s.conns, func(i int) (net.Conn, error) { return d.connect(ctx, i) })
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	context.AfterFunc(ctx, func() { closeAll(conns) })
	counters := make([]counter, len(conns))
	var latency atomic.Pointer[fleet.Histogram]
	streams := make([]*stream, len(conns))
	var wg sync.WaitGroup
	fail := func(err error) {
		if err != nil && ctx.Err() == nil {
			cancel(err)
		}
	}
	for i, conn := range conns {
		st := &stream{conn: conn, ring: newRing(d.login(i).id, pacedWindow, s.size), acked: &counters[i].acked, latency: &latency}
		streams[i] = st
		wg.Go(func() { fail(st.receive()) })
	}
	n := min(lanes, len(streams))
	for k := range n {
		var own []*stream
		for i := k; i < len(streams); i += n {
			own = append(own, streams[i])
		}
		wg.Go(func() { fail(lane(ctx, own, s.rate*float64(len(own))/float64(len(streams)))) })
	}
	r, err := measure(ctx, s, counters, &latency)
	cause := context.Cause(ctx)
	cancel(nil)
	wg.Wait()
	if cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	r.Inflight, r.Write = pacedWindow, "each"
	if r.Rate < 0.99*s.rate {
		return r, fmt.Errorf("the server acknowledged %.0f messages per second of %.0f: latency means nothing", r.Rate, s.rate)
	}
	return r, nil
}

func lane(ctx context.Context, streams []*stream, rate float64) error {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		now := time.Now()
		due := dueAt(start, n, rate)
		for ; !due.After(now); due = dueAt(start, n, rate) {
			if err := streams[n%len(streams)].send(due); err != nil {
				return err
			}
			n++
		}
		timer.Reset(max(time.Until(due), pace))
	}
}

func dueAt(start time.Time, n int, rate float64) time.Time {
	return start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
}

func (s *stream) send(due time.Time) error {
	if s.seq-s.done.Load() >= pacedWindow {
		return errors.New("the server is too slow for this rate: 256 messages of one connection wait")
	}
	s.due[s.seq%pacedWindow].Store(due.UnixNano())
	_, err := s.conn.Write(s.ring.run(s.seq, 1))
	s.seq++
	return err
}

func (s *stream) receive() error {
	var a acks
	for {
		n, err := a.read(s.conn)
		if err != nil {
			return err
		}
		now, h := time.Now().UnixNano(), s.latency.Load()
		done := s.done.Load()
		for i := range n {
			if h != nil {
				h.Record(time.Duration(now - s.due[(done+uint64(i))%pacedWindow].Load()))
			}
		}
		s.done.Add(uint64(n))
		s.acked.Add(uint64(n))
	}
}
