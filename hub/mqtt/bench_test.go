package mqtt_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// A groupLog answers as a log on disk does, from a goroutine of its own and in
// groups, but keeps nothing.
type groupLog struct {
	mu   sync.Mutex
	more sync.Cond
	done []func(error)
	stop bool
}

func newGroupLog() *groupLog {
	l := &groupLog{}
	l.more.L = &l.mu
	go l.run()
	return l
}

func (l *groupLog) Append(_ []telemetry.Message, done func(error)) {
	l.mu.Lock()
	l.done = append(l.done, done)
	l.mu.Unlock()
	l.more.Signal()
}

func (l *groupLog) Close() error {
	l.mu.Lock()
	l.stop = true
	l.mu.Unlock()
	l.more.Signal()
	return nil
}

func (l *groupLog) run() {
	var group []func(error)
	for {
		l.mu.Lock()
		for len(l.done) == 0 && !l.stop {
			l.more.Wait()
		}
		if l.stop {
			l.mu.Unlock()
			return
		}
		group, l.done = l.done, group[:0]
		l.mu.Unlock()
		for _, done := range group {
			done(nil)
		}
	}
}

// benchRig is a rig on another log.
func benchRig(b testing.TB, log eventlog.Appender) *rig {
	r := &rig{t: b}
	var err error
	r.hub, err = hub.New(hub.Options{Registry: mem.New(), Log: log, Policies: hub.NewPolicies(), HostName: hostName})
	if err != nil {
		b.Fatal(err)
	}
	r.srv = mqtt.NewServer(r.hub, mqtt.Options{HalfOpen: 1 << 20})
	b.Cleanup(func() {
		_ = r.srv.Shutdown(context.Background())
		_ = r.hub.Close()
	})
	return r
}

// listen serves r's server and returns how to reach it.
func (r *rig) listen(secure bool) (dial func() (net.Conn, error)) {
	if secure {
		addr, conf := r.serveTLS(context.Background(), tls.VersionTLS13)
		return func() (net.Conn, error) { return tls.Dial("tcp", addr, conf) }
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = r.srv.Serve(context.Background(), ln); close(done) }()
	r.t.Cleanup(func() { _ = ln.Close(); _ = r.srv.Shutdown(context.Background()); <-done })
	return func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
}

// login connects device i.
func (r *rig) login(dial func() (net.Conn, error), i int) net.Conn {
	id := hub.ID{Device: fmt.Sprintf("device-%05d", i)}
	nc, err := dial()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := nc.Write(mqtt311.AppendConnect(nil, connectPacket(id, r.device(id)))); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 4)); err != nil {
		r.t.Fatal(err)
	}
	return nc
}

// BenchmarkIngest is a loader of 100 connections with 16 messages of 150 bytes
// in flight each, in this process: CPU per message is server and loader
// together.
func BenchmarkIngest(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, oneWrite := range []bool{true, false} {
			name := map[bool]string{false: "plain", true: "tls1.3"}[secure] + "/" + map[bool]string{true: "window-in-one-write", false: "own-writes"}[oneWrite]
			b.Run(name, func(b *testing.B) {
				log := newGroupLog()
				defer func() { _ = log.Close() }()
				ingest(b, log, secure, oneWrite)
			})
		}
	}
}

func ingest(b *testing.B, log eventlog.Appender, secure, oneWrite bool) {
	const conns, window = 100, 16
	r := benchRig(b, log)
	dial := r.listen(secure)
	var left atomic.Int64
	left.Store(int64(b.N))
	clients := make([]net.Conn, conns)
	for i := range clients {
		clients[i] = r.login(dial, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	var wg sync.WaitGroup
	for i, nc := range clients {
		wg.Go(func() {
			frame := publish(fmt.Sprintf("devices/device-%05d/messages/events/%%24.ct=application%%2Fjson&%%24.ce=utf-8", i), string(make([]byte, 150)), 1)
			if err := load(nc, frame, window, oneWrite, &left); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/msg")
	for _, nc := range clients {
		_ = nc.Close()
	}
}

// load keeps window messages in flight until left is used up.
func load(nc net.Conn, frame []byte, window int, oneWrite bool, left *atomic.Int64) error {
	burst := make([]byte, 0, window*len(frame))
	for range window {
		burst = append(burst, frame...)
	}
	acks := make([]byte, 4*window)
	inFlight, part := 0, 0
	for {
		n := 0
		for n < window-inFlight && left.Add(-1) >= 0 {
			n++
		}
		if oneWrite && n > 0 {
			if _, err := nc.Write(burst[:n*len(frame)]); err != nil {
				return err
			}
		}
		for i := 0; !oneWrite && i < n; i++ {
			if _, err := nc.Write(frame); err != nil {
				return err
			}
		}
		if inFlight += n; inFlight == 0 {
			return nil
		}
		for got := false; !got; {
			m, err := nc.Read(acks[:4*inFlight-part])
			if err != nil {
				return errors.Join(errors.New("connection is gone"), err)
			}
			part += m
			got = part >= 4
		}
		inFlight -= part / 4
		part %= 4
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIdle reports the memory of b.N idle connections, heap and stacks:
// an upper bound, for the clients' ends and the registry are in this process.
func BenchmarkIdle(b *testing.B) {
	for _, secure := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "tls1.3"}[secure], func(b *testing.B) {
			log := newGroupLog()
			defer func() { _ = log.Close() }()
			r := benchRig(b, log)
			dial := r.listen(secure)
			conns := make([]net.Conn, b.N)
			before := inUse()
			for i := range conns {
				conns[i] = r.login(dial, i)
			}
			runtime.GC()
			b.ReportMetric(float64(inUse()-before)/float64(b.N), "both-B/conn")
			for _, nc := range conns {
				_ = nc.Close()
			}
		})
	}
}
