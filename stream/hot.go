// Package stream runs what follows the log: jobs that read its records in
// order, and write what becomes of them with a mark of how far they came.
//
// It promises that a record's rows are in the store once, after any crash:
// rows and mark are written together, a start continues behind the mark, and
// the log keeps what is not durable yet. It leaves out how outputs do that.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/internal/failpoint"
	"github.com/weir-iot/weir/store"
)

// HotOptions configure a Hot; the zero value works.
type HotOptions struct {
	// Consumer names the marks; "" is "hot".
	Consumer string
	// TTL is how long a document lives after its message's EnqueuedAt; 0 is 7 days.
	TTL time.Duration
	// Require gets the durable position of each partition after each flush, as
	// eventlog.Retainer.Require does; nil where the log does not ask.
	Require func(durable map[int]int64)
	// Speaks says whether a sender may write documents of another device; nil is
	// never. It is asked for each row whose payload names one, so it must be
	// fast, and it is called from one goroutine.
	Speaks func(sender, deviceID string) bool
	// BatchBytes is the size at which a batch does not wait for more; 0 is 4 MB.
	// Two of them are held.
	BatchBytes int
	// FlushEvery is how often the store is flushed for Require; 0 is 30 s.
	FlushEvery time.Duration
	Logger     *slog.Logger // nil is none
	Metrics    prometheus.Registerer
	Now        func() time.Time // nil is time.Now
}

// linger is how long a batch waits for more records when there are few: it
// bounds the batches per second, and is most of the time from durable to
// readable.
const linger = 15 * time.Millisecond

// Waits between attempts when the store or the log fails.
const (
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
)

// drainTimeout bounds how long a stop waits for the store.
const drainTimeout = 5 * time.Second

func (o HotOptions) withDefaults() HotOptions {
	if o.Consumer == "" {
		o.Consumer = "hot"
	}
	if o.TTL == 0 {
		o.TTL = 7 * 24 * time.Hour
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = 4 << 20
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Hot is the consumer that keeps the store up to date with the log: one
// goroutine reads the log and makes documents, one writes them, so that batches
// grow while the store is busy.
type Hot struct {
	log   eventlog.Reader
	store store.Store
	o     HotOptions
	m     *hotMetrics
	stats hotState
}

// NewHot returns a consumer that Run starts.
func NewHot(log eventlog.Reader, st store.Store, o HotOptions) *Hot {
	h := &Hot{log: log, store: st, o: o.withDefaults()}
	h.m = newHotMetrics(o.Metrics, h)
	return h
}

// Run follows the log from the store's marks until ctx ends, which is no error;
// what was read by then is written and flushed. Failures of the store and of
// the log's reads are retried and shown by Stats; Run ends with an error if the
// log or the store is closed, if the store is ahead of the log, or if the store fails until drainTimeout after
// the end of ctx: the next Run reads what is missing again. Run must not run
// twice at a time.
func (h *Hot) Run(ctx context.Context) error {
	marks, err := h.begin(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("stream: starting %s: %w", h.o.Consumer, err)
	}
	reading, stop := context.WithCancel(ctx)
	q := newQueue(len(marks), h.o.BatchBytes)
	var readErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		readErr = h.read(reading, q, marks)
		close(q.ended)
	})
	writeErr := h.write(reading, q)
	stop()
	wg.Wait()
	if err := errors.Join(readErr, writeErr); err != nil {
		return fmt.Errorf("stream: running %s: %w", h.o.Consumer, err)
	}
	return nil
}

// begin finds where to go on, and asks the log to keep what is not durable:
// marks are durable once they were flushed.
func (h *Hot) begin(ctx context.Context) (marks []int64, err error) {
	err = h.retry(ctx, "reading where to continue", func() error {
		n, err := h.log.Partitions(ctx)
		if err != nil {
			return err
		}
		if marks, err = h.marks(ctx, n); err != nil {
			return err
		}
		return h.store.Flush(ctx)
	})
	if err != nil {
		return nil, err
	}
	h.stats.begin(marks)
	h.require(marks)
	h.o.Logger.Info("following the log", "job", h.o.Consumer, "partitions", len(marks))
	return marks, nil
}

func (h *Hot) marks(ctx context.Context, n int) ([]int64, error) {
	marks := make([]int64, n)
	for p := range marks {
		var err error
		if marks[p], err = h.store.Mark(ctx, h.o.Consumer, p); err != nil {
			return nil, err
		}
	}
	return marks, nil
}

func (h *Hot) require(durable []int64) {
	if h.o.Require == nil {
		return
	}
	positions := make(map[int]int64, len(durable))
	for p, seq := range durable {
		positions[p] = seq
	}
	h.o.Require(positions)
}

// write takes batches until the reader has ended and all is written, and
// flushes now and then. After the end of ctx it has drainTimeout for the rest.
// It never goes on behind a batch that is not written.
func (h *Hot) write(ctx context.Context, q *queue) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })()
	flush := time.NewTicker(h.o.FlushEvery)
	defer flush.Stop()
	for {
		var err error
		select {
		case <-q.some:
			q.gather()
			err = h.apply(working, q)
		case <-flush.C:
			// A failed flush is shown, and tried again at the next turn.
			_ = h.checkpoint(working)
		case <-q.ended:
			return errors.Join(h.apply(working, q), h.checkpoint(working))
		}
		if err != nil {
			return err
		}
	}
}

// apply writes the batch that the queue has. With an error it is not written.
func (h *Hot) apply(ctx context.Context, q *queue) error {
	b := q.take()
	b.seal()
	if marks := b.marks(h.o.Consumer); len(marks) > 0 {
		if err := h.retry(ctx, "writing to the store", func() error { return h.upsert(ctx, b.docs, marks) }); err != nil {
			return err
		}
	}
	h.m.messages.Add(float64(b.messages))
	h.m.documents.Add(float64(len(b.docs)))
	h.stats.applied(h.o.Now(), b)
	q.giveBack(b)
	return nil
}

// upsert writes documents and marks. A document that the store refuses goes to
// the dead letters; it is found by halving the batch.
func (h *Hot) upsert(ctx context.Context, docs []store.Document, marks []store.Mark) error {
	err := h.store.Upsert(ctx, docs, marks...)
	if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
		return err
	}
	switch half := len(docs) / 2; {
	case len(docs) > 1:
		if err := h.upsert(ctx, docs[:half], nil); err != nil {
			return err
		}
		return h.upsert(ctx, docs[half:], marks)
	case len(docs) == 1 && docs[0].DeviceID != DeadLetterDevice:
		h.m.deadLetters.Inc()
		return h.upsert(ctx, []store.Document{h.deadLetter(docs[0], err)}, marks)
	default:
		return err
	}
}

// checkpoint makes what is applied durable and tells the log.
func (h *Hot) checkpoint(ctx context.Context) error {
	marks, dirty := h.stats.undurable()
	if !dirty {
		return nil
	}
	failpoint.Hit("hot/checkpoint")
	if err := h.store.Flush(ctx); err != nil {
		h.failed("flushing the store", err)
		return err
	}
	failpoint.Hit("hot/checkpoint")
	h.stats.durable(h.o.Now(), marks)
	h.require(marks)
	return nil
}

// retry runs f until it succeeds, with waits that grow; it gives up when ctx
// ends or something is closed.
func (h *Hot) retry(ctx context.Context, doing string, f func() error) error {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		err := f()
		if err == nil {
			if h.stats.recovered() {
				h.o.Logger.Info("the store takes documents again", "job", h.o.Consumer)
			}
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) || errors.Is(err, eventlog.ErrClosed) {
			return err
		}
		h.failed(doing, err)
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// failed counts and shows an error; one that repeats is logged once.
func (h *Hot) failed(doing string, err error) {
	h.m.errors.Inc()
	if h.stats.failed(err) {
		h.o.Logger.Error(doing+" failed, will try again", "job", h.o.Consumer, "error", err)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
