// Package hub is what devices talk to: authentication, the device registry,
// twins, direct methods and cloud-to-device messages, with the rules of Azure
// IoT Hub. It promises that what it answers is durable, and that a device's
// rights end within a second of their being taken away. Protocols are doors
// beside it (hub/mqtt, hub/rest): they translate, the rules live here.
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/eventlog"
)

// Options configure a Hub. Registry, Log and Policies are required.
type Options struct {
	Registry Registry
	Log      eventlog.Appender
	Policies *Policies
	HostName string                // what the hub calls itself in twins and connection strings; default "localhost"
	Now      func() time.Time      // default time.Now
	Logger   *slog.Logger          // default: discards
	Metrics  prometheus.Registerer // default: none
	// InFlight bounds the bytes of messages that wait for durability, of all
	// devices together; Send blocks beyond it. Default 64 MiB.
	InFlight int
	Limits   Limits // zero fields take IoT Hub's own limits
}

// A Hub is one IoT hub. Its locks are taken in this order: the lock of a
// device (held while its registry rows are written), a queue's, a session's
// calls, a shard's (never held while waiting for anything).
type Hub struct {
	registry Registry
	log      eventlog.Appender
	policies *Policies
	hostName string
	now      func() time.Time
	logger   *slog.Logger
	limits   Limits
	metrics  *metrics

	budget     budget
	pending    sync.Pool // of *pendingSend
	seed       maphash.Seed
	shards     [64]shard
	locks      [4096]sync.RWMutex // by device; as many writes can share a sync
	counts     deviceCounts
	sequence   atomic.Int64  // of entries in queues
	generation atomic.Int64  // of the newest identity
	requests   atomic.Uint64 // of direct methods
	feedback   feedbackQueue
	refusals   refusals
	nobody     Policy // keys that nobody has, for a check that must fail in its usual time

	closed atomic.Bool
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// New starts a hub. Close it before its Registry and Log.
func New(o Options) (*Hub, error) {
	if o.Registry == nil || o.Log == nil || o.Policies == nil {
		return nil, errors.New("hub: new: Registry, Log and Policies are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Hub{
		registry: o.Registry, log: o.Log, policies: o.Policies,
		hostName: cmp.Or(o.HostName, "localhost"),
		now:      o.Now, logger: o.Logger,
		limits: o.Limits.withDefaults(),
		seed:   maphash.MakeSeed(),
		nobody: Policy{PrimaryKey: newSecret(), SecondaryKey: newSecret()},
	}
	h.metrics = newMetrics(o.Metrics, h)
	h.budget.limit = int64(cmp.Or(o.InFlight, 64<<20))
	h.pending.New = func() any { return newPendingSend(h) }
	ctx, stop := context.WithCancel(context.Background())
	if err := errors.Join(h.loadQueues(ctx), h.countDevices(ctx)); err != nil {
		stop()
		return nil, fmt.Errorf("hub: new: reading the registry: %w", err)
	}
	h.stop = stop
	h.done.Go(func() { h.run(ctx) })
	return h, nil
}

// Close disconnects every session, writes what was batched, and waits for the
// hub's goroutine. It leaves Registry and Log open.
func (h *Hub) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	for s := range h.sessions() {
		s.end(ErrUnavailable, true)
	}
	h.stop()
	h.done.Wait()
	return h.flushActivity(context.Background())
}

// HostName is what the hub calls itself.
func (h *Hub) HostName() string { return h.hostName }

// flushEvery is the number of seconds between writes of activity times.
const flushEvery = 5

// run does, once a second, all that is due by time alone.
func (h *Hub) run(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
		now := h.now()
		for s := range h.sessions() {
			if s.expired(now) {
				s.end(ErrExpired, true)
			}
		}
		h.summarizeRefusals(now)
		h.sweepQueues(ctx, now)
		h.sweepFeedback(ctx, now)
		if n%flushEvery != 0 {
			continue
		}
		if err := h.flushActivity(ctx); err != nil {
			h.logger.Warn("writing activity times failed", "error", err)
		}
	}
}

// lock returns the lock of a device's rows.
func (h *Hub) lock(device string) *sync.RWMutex {
	return &h.locks[maphash.String(h.seed, device)%uint64(len(h.locks))]
}

// stamp is the time as registry rows keep it.
func (h *Hub) stamp() time.Time { return h.now().UTC().Truncate(time.Millisecond) }

// failure makes an *Error of what the registry answered, and logs a cause that
// the client is not told.
func (h *Hub) failure(doing string, id ID, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ErrUnavailable.With("the request was given up")
	}
	h.logger.Error(doing+" failed", "device", id.String(), "error", err)
	return ErrServer
}
