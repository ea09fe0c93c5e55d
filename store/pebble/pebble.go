// Package pebble is the store on Pebble, the embedded key-value store: the
// default hot path.
//
// It promises the store's contract: documents and marks of one Upsert together,
// and after a crash a prefix of the Upserts. It writes no log of its own, as the
// event log is one: what an Upsert wrote is in memory until Pebble writes a
// table, in the order of the Upserts, and Flush waits for that. A consumer of
// the log continues behind its mark and loses nothing.
//
// Documents lie in ranges by day of expiry, so that a day's space comes back by
// removing its files, and within a day in segments by arrival (see segment).
// It leaves out queries over the content of documents.
package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/weir-iot/weir/internal/diskroom"
	"github.com/weir-iot/weir/store"
)

// diskRoom is the free space, in bytes, with which writing to a full disk goes on.
const diskRoom = 64 << 20

// Options choose memory against speed; the zero value is for a small server.
type Options struct {
	// CacheBytes is the memory for blocks read from disk; 0 is 16 MB. While the
	// tables in memory take less than they may, blocks may have the rest.
	CacheBytes int64
	// MemTableBytes is the size of a table in memory; 0 is 8 MB. Up to three are
	// held while documents arrive faster than tables are written; an Upsert of
	// more than half of it goes past the table in memory.
	MemTableBytes int
	// IDTable is how many new IDs are held in memory, with 32 bytes each, before
	// they become a run of the index; 0 is 262,144.
	IDTable int
	// FilterBytes bounds the memory that tells new IDs from those of the runs; 0
	// is 16 MB. It is taken as it is needed. With 10 bits for each ID that has
	// not expired, a new one costs no look into the store; with fewer than 3,
	// nearly each does.
	FilterBytes int
	// SweepEvery is how often expired days are removed; 0 is 10 minutes.
	SweepEvery time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Logger gets Pebble's complaints; nil is none.
	Logger *slog.Logger
	// Metrics is where counters are registered; nil is nowhere.
	Metrics prometheus.Registerer
	// FS is the file system; nil is the machine's.
	FS vfs.FS
}

func (o Options) withDefaults() Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = 16 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 8 << 20
	}
	if o.IDTable == 0 {
		o.IDTable = 1 << 18
	}
	if o.FilterBytes == 0 {
		o.FilterBytes = 16 << 20
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	return o
}

// pebbleOptions translate o. There is no log, as the package comment says.
// Filters are kept per device.
func (o Options) pebbleOptions() *pebble.Options {
	p := &pebble.Options{
		Comparer:                    comparer,
		CacheSize:                   o.CacheBytes + 3*int64(o.MemTableBytes),
		DisableWAL:                  true,
		FS:                          o.FS,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       48,
		Logger:                      &logger{Logger: o.Logger, now: o.Now},
		MaxOpenFiles:                256,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 3,
	}
	// Small files have small filters, which are read whole. The largest bounds
	// what a day's end may leave to be rewritten.
	p.TargetFileSizes = [...]int64{2 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20, 16 << 20, 16 << 20}
	for i := range p.Levels {
		p.Levels[i].BlockSize = 16 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return p
}

// Store is a store.Store.
type Store struct {
	db     *pebble.DB
	now    func() time.Time
	logger *slog.Logger
	m      *metrics

	write  gate    // orders Upserts and cuts of a sweep: each looks up, then commits
	rows   rows    // of the Upsert that holds write
	places []place // of it, too
	ids    ids     // guarded by write

	sweep gate // held by a sweep
	rests bool // guarded by sweep: there may be rests of cut files, also from before the start

	mu     sync.Mutex // guards what follows
	closed bool
	table  table
	marks  map[string]int64 // by key

	calls      sync.WaitGroup     // running calls: Close waits for them
	stop       context.CancelFunc // of background
	background sync.WaitGroup

	stopWaiting context.CancelFunc // for room on the disk
}

var _ store.Store = (*Store)(nil)

// Open opens the store in dir, and makes it if there is none.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	room, stopWaiting := context.WithCancel(context.Background())
	giveUp := func() { cancel(); stopWaiting() }
	retry := &backoff{FS: diskroom.Wait(room, o.FS, dir, "hot store", diskRoom, o.Logger), ctx: room, log: o.Logger}
	o.FS = retry
	options := o.pebbleOptions()
	options.EventListener = &pebble.EventListener{BackgroundError: retry.report}
	cache := pebble.NewCache(options.CacheSize)
	defer cache.Unref() // the database has its own reference
	options.Cache = cache
	db, err := pebble.Open(dir, options)
	if err != nil {
		giveUp()
		return nil, fmt.Errorf("store/pebble: opening %s: %w: if another process uses it, end that one; if it is damaged, move the folder away and the log fills a new one", dir, err)
	}
	s := &Store{db: db, now: o.Now, logger: o.Logger, m: newMetrics(o.Metrics, db), write: make(gate, 1), sweep: make(gate, 1), rests: true, marks: make(map[string]int64), stop: cancel, stopWaiting: stopWaiting}
	s.ids.limit, s.ids.filterBytes = o.IDTable, o.FilterBytes
	if err := s.load(); err != nil {
		giveUp()
		return nil, errors.Join(fmt.Errorf("store/pebble: opening %s: %w", dir, err), db.Close())
	}
	filters := slices.Clone(s.ids.filters)
	s.background.Go(func() { s.learn(ctx, filters, cache) })
	s.background.Go(func() { s.sweepEvery(ctx, o.SweepEvery) })
	return s, nil
}

// load reads the new IDs, the marks and the segments.
func (s *Store) load() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindJournal}, UpperBound: []byte{kindSegment + 1}})
	if err != nil {
		return err
	}
	var hashKey []byte
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key := it.Key()
		value, e := it.ValueAndErr()
		switch {
		case e != nil:
			err = e
		case key[0] == kindJournal:
			err = s.ids.replay(key, value)
		case key[0] == kindHashKey:
			hashKey = bytes.Clone(value)
		case key[0] == kindSegment:
			var g segment
			if g, err = parseSegment(key, value); err == nil {
				s.table.add(&g)
			}
		case len(value) != 8:
			err = fmt.Errorf("mark entry %x with %d bytes is damaged", key, len(value))
		default:
			s.marks[string(key)] = int64(binary.BigEndian.Uint64(value))
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return err
	}
	s.table.order()
	made, err := s.ids.setKey(hashKey)
	if err == nil && hashKey == nil {
		err = s.db.Set([]byte{kindHashKey}, made, pebble.NoSync)
	}
	if err != nil {
		return err
	}
	return s.openRuns()
}

// enter begins a call; leave ends it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

func (s *Store) leave() { s.calls.Done() }

// A gate is a mutex whose waiters give up when their context ends.
type gate chan struct{}

func (g gate) lock(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) unlock() { <-g }

// detach runs f and waits for its end or ctx's: Pebble waits for the disk
// whatever its caller wants. f is a call of its own, so Close waits for it.
func (s *Store) detach(ctx context.Context, f func() error) error {
	s.calls.Add(1)
	done := make(chan error, 1)
	go func() {
		defer s.leave()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Mark implements store.Store.
func (s *Store) Mark(ctx context.Context, consumer string, shard int) (int64, error) {
	if err := s.enter(ctx); err != nil {
		return -1, err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.marks[string(markKey(consumer, shard))]; ok {
		return n, nil
	}
	return -1, nil
}

// Flush implements store.Store: it has the tables in memory written and synced.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.detach(ctx, s.db.Flush); err != nil {
		return fmt.Errorf("store/pebble: flushing: %w", err)
	}
	return nil
}

// closeTimeout bounds Close. Only a disk that is full, or does not answer, takes
// as long.
const closeTimeout = 10 * time.Second

var errClose = fmt.Errorf("the disk took nothing for %v: what was not flushed is in the log and will be read again", closeTimeout)

// Close implements store.Store. It flushes and waits for running calls, reads
// included, but not for a full disk: then the rest of Close goes on until there
// is room or the process ends, which does no more harm than a crash.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	done := make(chan error, 1)
	go func() {
		defer s.stopWaiting()
		s.background.Wait()
		s.calls.Wait()
		done <- errors.Join(s.db.Flush(), s.db.Close())
	}()
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	var err error
	select {
	case err = <-done:
	case <-timeout.C:
		err = errClose
	}
	if err != nil {
		return fmt.Errorf("store/pebble: closing: %w", err)
	}
	return nil
}

// logger hands Pebble's messages on. What it tells of each table it writes is
// of no use to an operator, and an error that repeats is told once a minute.
type logger struct {
	*slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last string
	at   time.Time
}

func (*logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) {
	text, now := fmt.Sprintf(format, args...), l.now()
	l.mu.Lock()
	again := text == l.last && now.Sub(l.at) < time.Minute
	if !again {
		l.last, l.at = text, now
	}
	l.mu.Unlock()
	if !again {
		l.Error("store: pebble", "error", text)
	}
}

// Fatalf must not return: Pebble calls it where going on would damage the
// store, after a failed write of its manifest or a table that reads back
// otherwise than it was written. The log has what the store lacks.
func (l *logger) Fatalf(format string, args ...any) {
	l.Error("store: stopping: check the disk and restart; if it stops again, move its folder away, and the log fills a new one",
		"error", fmt.Sprintf(format, args...))
	os.Exit(1)
}
