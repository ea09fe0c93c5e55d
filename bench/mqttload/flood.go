package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/internal/fleet"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// maxInflight bounds -inflight; identifiers up to it are used round and round.
const maxInflight = 1024

// A ring holds the encoded publishes of one connection, one per place in the
// window, twice: any run of n places is one slice.
type ring struct {
	packets []byte
	size    int // of one packet
	n       int
}

func newRing(id string, n, payload int) *ring {
	topic := "devices/" + id + "/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"
	body := fmt.Appendf(nil, `{"deviceId":"%s","timestamp":"2026-01-01T00:00:00.000Z","temperature":21.43,"humidity":45.1,"pad":"`, id)
	if pad := payload - len(body) - 2; pad >= 0 {
		body = append(append(body, strings.Repeat("x", pad)...), `"}`...)
	} else {
		body = body[:min(payload, len(body))]
	}
	r := &ring{n: n}
	for range 2 {
		for i := range n {
			before := len(r.packets)
			r.packets = mqtt311.AppendPublish(r.packets, &mqtt311.Publish{Topic: topic, Payload: body, ID: uint16(i + 1), QoS: 1})
			r.size = len(r.packets) - before
		}
	}
	return r
}

// run is the bytes of count publishes from place seq on.
func (r *ring) run(seq uint64, count int) []byte {
	from := int(seq%uint64(r.n)) * r.size
	return r.packets[from : from+count*r.size]
}

// A counter counts acknowledgements of one connection, on a cache line of its own.
type counter struct {
	acked atomic.Uint64
	_     [56]byte
}

// acks counts PUBACKs in a stream; anything else is an error.
type acks struct {
	buf  [4096]byte
	have int
}

func (a *acks) read(conn net.Conn) (int, error) {
	n, err := conn.Read(a.buf[a.have:])
	a.have += n
	count := a.have / 4
	for i := range count {
		if a.buf[4*i] != byte(mqtt311.PUBACK)<<4 || a.buf[4*i+1] != 2 {
			return 0, errors.New("the server sent something else than a PUBACK")
		}
	}
	a.have = copy(a.buf[:], a.buf[4*count:a.have])
	if count > 0 {
		return count, nil
	}
	return 0, err
}

// flood keeps every connection's window full.
func flood(ctx context.Context, s *settings, d *dialer) (*result, error) {
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
	var wg sync.WaitGroup
	for i, conn := range conns {
		w := window{conn: conn, ring: newRing(d.login(i).id, s.inflight, s.size), each: s.each, acked: &counters[i].acked, latency: &latency, sent: make([]time.Time, s.inflight)}
		wg.Go(func() {
			if err := w.turn(); ctx.Err() == nil {
				cancel(fmt.Errorf("connection %s: %w", d.login(i).id, err))
			}
		})
	}
	r, err := measure(ctx, s, counters, &latency)
	cause := context.Cause(ctx)
	cancel(nil)
	wg.Wait()
	if cause != nil {
		return nil, cause
	}
	return r, err
}

// A window is one connection of a flood.
type window struct {
	conn    net.Conn
	ring    *ring
	each    bool
	acked   *atomic.Uint64
	latency *atomic.Pointer[fleet.Histogram]
	sent    []time.Time
	acks    acks
}

// turn sends a window, then one message for each acknowledgement.
func (w *window) turn() error {
	var seq, done uint64
	for room := w.ring.n; ; {
		now := time.Now()
		for i := range room {
			w.sent[(seq+uint64(i))%uint64(w.ring.n)] = now
		}
		if err := w.write(seq, room); err != nil {
			return err
		}
		seq += uint64(room)
		n, err := w.acks.read(w.conn)
		if err != nil {
			return err
		}
		if h := w.latency.Load(); h != nil && n > 0 {
			now := time.Now()
			for i := range n {
				h.Record(now.Sub(w.sent[(done+uint64(i))%uint64(w.ring.n)]))
			}
		}
		done += uint64(n)
		w.acked.Add(uint64(n))
		room = n
	}
}

func (w *window) write(seq uint64, count int) error {
	if !w.each {
		if count == 0 {
			return nil
		}
		_, err := w.conn.Write(w.ring.run(seq, count))
		return err
	}
	for i := range count {
		if _, err := w.conn.Write(w.ring.run(seq+uint64(i), 1)); err != nil {
			return err
		}
	}
	return nil
}

// measure lets the load warm up, then counts for the duration.
func measure(ctx context.Context, s *settings, counters []counter, latency *atomic.Pointer[fleet.Histogram]) (*result, error) {
	sum := func() (n uint64) {
		for i := range counters {
			n += counters[i].acked.Load()
		}
		return n
	}
	sleep(ctx, s.warmup)
	h := new(fleet.Histogram)
	latency.Store(h)
	from, cpu, err := sum(), time.Duration(0), error(nil)
	if s.pid != 0 {
		if cpu, err = cpuTime(s.pid); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	sleep(ctx, s.duration)
	elapsed := time.Since(begin)
	r := &result{
		Mode: s.mode, TLS: s.tls, Conns: s.conns, Inflight: s.inflight, Write: "window",
		Acked: sum() - from, P50: ms(h.Quantile(0.5)), P99: ms(h.Quantile(0.99)), Max: ms(h.Max()),
	}
	if s.each {
		r.Write = "each"
	}
	r.Rate = float64(r.Acked) / elapsed.Seconds()
	if s.pid != 0 && r.Acked > 0 {
		after, err := cpuTime(s.pid)
		if err != nil {
			return nil, err
		}
		r.CPUPerMsg = float64((after - cpu).Microseconds()) / float64(r.Acked)
		r.RSS, err = rss(s.pid)
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
