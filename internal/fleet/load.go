package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/device"
)

// A Load is a fleet at work: every machine a real device with a connection of
// its own.
type Load struct {
	Devices  []string      // connection strings, one a machine
	Rate     float64       // messages per second of all together; 0: as fast as their windows let
	Duration time.Duration // 0: until the context ends
	Size     int           // bytes of a payload; 0: what the physics give, else padded
	Seed     uint64
	Faults   time.Duration  // mean time between the faults of a machine; 0: none
	Client   device.Options // of every machine; Window is the messages in flight of each
	Drain    time.Duration  // wait for the last acknowledgements; default 10 s
	// Progress is called every second, where it is set.
	Progress func(Progress)
}

// Progress is how far a Load is.
type Progress struct {
	Connected, Devices  int
	Sent, Acked, Errors int64
	Sending             time.Duration // since the first message; 0 while they connect
}

// A Report is what came of a Load. Every message that was sent is acked,
// refused (in Errors) or lost.
type Report struct {
	Devices int
	Sent    int64
	Acked   int64
	Errors  int64 // refused messages, and devices that could not connect
	Lost    int64 // never acknowledged, though waited for
	Resent  int64 // after a lost connection
	Elapsed time.Duration
	Rate    float64 // acked messages per second
	Latency *Histogram
	Err     error // the first error
}

const (
	// connecting bounds the connection attempts that run at the same time: a
	// TLS handshake costs the hub a third of a millisecond of CPU.
	connecting = 64
	// lanes is how many goroutines share out the messages of a rate. One that
	// waits for a full window holds up its own devices only.
	lanes = 8
	// pace is how late a message may be: lanes sleep at least that long.
	pace         = time.Millisecond
	defaultDrain = 10 * time.Second
	// connectTimeout is how long a device tries to connect.
	connectTimeout = 30 * time.Second
)

// A run is a Load in progress.
type run struct {
	*Load
	units     []*unit // nil where the device could not connect
	latency   Histogram
	flights   sync.Pool
	connected atomic.Int64
	sent      atomic.Int64
	acked     atomic.Int64
	failed    atomic.Int64
	lost      atomic.Int64
	began     atomic.Int64 // Unix nanoseconds of the first message

	mu    sync.Mutex
	first error
}

// A unit is one machine with its client.
type unit struct {
	machine *Machine
	client  *device.Client
	body    []byte
}

// Run connects the machines, lets them send, and waits for the last
// acknowledgements. When ctx ends it stops sending and still reports.
func (l *Load) Run(ctx context.Context) *Report {
	r := &run{Load: l, units: make([]*unit, len(l.Devices))}
	r.flights.New = func() any { return newFlight(r) }
	stop := r.watch()
	defer stop()
	r.connect(ctx)
	begin := time.Now()
	r.began.Store(begin.UnixNano())
	r.send(ctx)
	resent := r.close()
	elapsed := time.Since(begin)
	return &Report{
		Devices: len(l.Devices), Sent: r.sent.Load(), Acked: r.acked.Load(),
		Errors: r.failed.Load(), Lost: r.lost.Load(), Resent: resent,
		Elapsed: elapsed, Rate: float64(r.acked.Load()) / elapsed.Seconds(),
		Latency: &r.latency, Err: r.first,
	}
}

// watch reports progress every second until it is stopped.
func (r *run) watch() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				r.Progress(r.progress())
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func (r *run) progress() Progress {
	p := Progress{
		Connected: int(r.connected.Load()), Devices: len(r.Devices),
		Sent: r.sent.Load(), Acked: r.acked.Load(), Errors: r.failed.Load(),
	}
	if began := r.began.Load(); began != 0 {
		p.Sending = time.Duration(time.Now().UnixNano() - began)
	}
	return p
}

// connect brings up the clients, some at a time.
func (r *run) connect(ctx context.Context) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(connecting, len(r.Devices)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(r.Devices) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				r.connectOne(ctx, i)
			}
		})
	}
	wg.Wait()
}

func (r *run) connectOne(ctx context.Context, i int) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := device.Connect(ctx, r.Devices[i], r.Client)
	if err != nil {
		r.fail(err)
		return
	}
	kind := Kind(i % int(kinds))
	r.units[i] = &unit{machine: New(c.ID(), kind, r.Seed+uint64(i), r.Faults), client: c}
	r.connected.Add(1)
}

func (r *run) fail(err error) {
	r.failed.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
}

// send lets the machines work until the duration is over or ctx ends.
func (r *run) send(ctx context.Context) {
	if r.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Duration)
		defer cancel()
	}
	var up []*unit
	for _, u := range r.units {
		if u != nil {
			up = append(up, u)
		}
	}
	var wg sync.WaitGroup
	if r.Rate == 0 {
		for _, u := range up {
			wg.Go(func() { r.flood(ctx, u) })
		}
	} else {
		n := min(lanes, len(up))
		for k := range n {
			var own []*unit
			for i := k; i < len(up); i += n {
				own = append(own, up[i])
			}
			share := r.Rate * float64(len(own)) / float64(len(up))
			wg.Go(func() { r.lane(ctx, own, share, float64(k)/r.Rate) })
		}
	}
	wg.Wait()
}

// flood sends as fast as the window lets.
func (r *run) flood(ctx context.Context, u *unit) {
	for ctx.Err() == nil {
		r.sendOne(ctx, u, time.Now())
	}
}

// lane sends rate messages per second, in turn from each unit. Latency counts
// from the moment when a message was due, so that a stall of the hub is not
// hidden by messages that were never sent.
func (r *run) lane(ctx context.Context, units []*unit, rate, offset float64) {
	start := time.Now().Add(time.Duration(offset * float64(time.Second)))
	timer := time.NewTimer(time.Until(start))
	defer timer.Stop()
	for n := 0; ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		due := start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		for ; !due.After(now) && ctx.Err() == nil; due = start.Add(time.Duration(float64(n) / rate * float64(time.Second))) {
			r.sendOne(ctx, units[n%len(units)], due)
			n++
		}
		timer.Reset(max(time.Until(due), pace))
	}
}

// sendOne sends what u's sensors show, counting its latency from due.
func (r *run) sendOne(ctx context.Context, u *unit, due time.Time) {
	reading := u.machine.Read(time.Now())
	if r.Size > 0 {
		u.body = reading.AppendSized(u.body[:0], r.Size)
	} else {
		u.body = reading.AppendJSON(u.body[:0])
	}
	f := r.flights.Get().(*flight)
	f.due = due
	r.sent.Add(1)
	u.client.SendAsync(ctx, device.Message{ContentType: "application/json", Encoding: "utf-8", Body: u.body}, f.done)
}

// A flight waits for one acknowledgement; its callback is made once.
type flight struct {
	run  *run
	due  time.Time
	done func(error)
}

func newFlight(r *run) *flight {
	f := &flight{run: r}
	f.done = f.land
	return f
}

func (f *flight) land(err error) {
	r := f.run
	switch {
	case err == nil:
		r.latency.Record(time.Since(f.due))
		r.acked.Add(1)
	case errors.Is(err, device.ErrClosed):
		r.lost.Add(1)
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		r.sent.Add(-1) // the end came while it waited for room
	default:
		r.fail(err)
	}
	r.flights.Put(f)
}

// close waits for the last acknowledgements and ends the clients.
func (r *run) close() (resent int64) {
	drain := r.Drain
	if drain == 0 {
		drain = defaultDrain
	}
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var wg sync.WaitGroup
	var total atomic.Int64
	for _, u := range r.units {
		if u == nil {
			continue
		}
		wg.Go(func() {
			_ = u.client.Close(ctx) // what it left is counted by land
			total.Add(u.client.Stats().Resent)
		})
	}
	wg.Wait()
	return total.Load()
}
