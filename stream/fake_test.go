package stream

import (
	"context"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/mem"
	"github.com/weir-iot/weir/telemetry"
)

// fakeLog is a log in memory whose failures a test chooses.
type fakeLog struct {
	mu      sync.Mutex
	parts   [][]telemetry.Message
	oldest  []int64
	more    chan struct{} // closed and renewed by each append
	err     error         // ends the next read
	started []eventlog.Positions
}

func newFakeLog(partitions int) *fakeLog {
	return &fakeLog{parts: make([][]telemetry.Message, partitions), oldest: make([]int64, partitions), more: make(chan struct{})}
}

func (l *fakeLog) append(p int, msgs ...telemetry.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range msgs {
		m.Partition, m.Seq = p, int64(len(l.parts[p]))
		if m.EnqueuedAt.IsZero() {
			m.EnqueuedAt = time.Now().UTC()
		}
		l.parts[p] = append(l.parts[p], m)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// fail ends the running read, or the next, with err.
func (l *fakeLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
	close(l.more)
	l.more = make(chan struct{})
}

func (l *fakeLog) trim(p int, oldest int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oldest[p] = oldest
}

func (l *fakeLog) Partitions(context.Context) (int, error) { return len(l.parts), nil }

// next returns a batch behind next, or what to wait for.
func (l *fakeLog) next(next []int64) (eventlog.Batch, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.err; err != nil {
		l.err = nil
		return eventlog.Batch{}, nil, err
	}
	for p := range next {
		if next[p] < l.oldest[p] {
			return eventlog.Batch{}, nil, eventlog.ErrTrimmed{Partition: p, Oldest: l.oldest[p]}
		}
		if n := int64(len(l.parts[p])); next[p] < n {
			to := min(n, next[p]+3)
			b := eventlog.Batch{Partition: p}
			for _, m := range l.parts[p][next[p]:to] {
				b.Messages = append(b.Messages, m.Clone())
			}
			next[p] = to
			return b, nil, nil
		}
	}
	return eventlog.Batch{}, l.more, nil
}

func (l *fakeLog) Read(ctx context.Context, from, _ eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		next := make([]int64, len(l.parts))
		l.mu.Lock()
		l.started = append(l.started, from)
		for p, at := range from {
			next[p] = l.oldest[p]
			if at.Kind == eventlog.KindAfter {
				next[p] = at.Seq + 1
			}
		}
		l.mu.Unlock()
		for {
			b, wait, err := l.next(next)
			if err == nil && wait != nil {
				select {
				case <-wait:
					continue
				case <-ctx.Done():
					err = ctx.Err()
				}
			}
			if !yield(b, err) || err != nil {
				return
			}
			for i := range b.Messages { // a batch is valid until the next iteration
				for j := range b.Messages[i].Body {
					b.Messages[i].Body[j] = '!'
				}
				b.Messages[i] = telemetry.Message{}
			}
		}
	}
}

// testStore notes what is called, and fails where a test wants it.
type testStore struct {
	store.Store
	mu     sync.Mutex
	calls  []string
	refuse func(docs []store.Document) error
}

func newTestStore(t *testing.T) *testStore {
	s := &testStore{Store: mem.New(nil)}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *testStore) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

func (s *testStore) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *testStore) set(refuse func([]store.Document) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func (s *testStore) Upsert(ctx context.Context, docs []store.Document, marks ...store.Mark) error {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil {
		if err := refuse(docs); err != nil {
			return err
		}
	}
	return s.Store.Upsert(ctx, docs, marks...)
}

func (s *testStore) Flush(ctx context.Context) error {
	s.note("flush")
	return s.Store.Flush(ctx)
}

// start runs a job; the returned function stops it and gives Run's error.
func start(t *testing.T, job interface{ Run(context.Context) error }) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- job.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func read(t *testing.T, s store.Store, device string) (docs []store.Document) {
	t.Helper()
	for d, err := range s.Read(t.Context(), store.Range{DeviceID: device}) {
		if err != nil {
			t.Fatal(err)
		}
		d.Data = slices.Clone(d.Data)
		docs = append(docs, d)
	}
	return docs
}
