// Package disk is the log on the local disk: one append stream for all
// partitions in preallocated segment files, one fdatasync for everybody who
// waits, and recovery that never refuses to start. The page
// docs/formats/log.md describes the bytes.
//
// It promises, at level Sync, that done(nil) runs only after the sync that made
// the messages durable; that after a failed write or sync nothing is ever
// acknowledged again; that bytes which are damaged are never read as records
// but set aside, counted and logged; and that readers never hold a lock that
// Append needs while they wait for the disk. It leaves out replication and
// compaction. It trusts the disk not to tear bytes that a write leaves
// unchanged (power-safe overwrite).
package disk

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/eventlog"
)

// ErrLocked says that another process has the folder open.
var ErrLocked = errors.New("another process has this log open: stop it, or give this one another folder")

// A Level says when an append counts as durable.
type Level time.Duration

const (
	// Sync acknowledges after fdatasync: power cuts lose nothing.
	Sync Level = 0
	// Memory never syncs: a crash of the process loses nothing, one of the
	// machine everything that the system had not written. For tests.
	Memory Level = -1
)

// Interval acknowledges after the write and syncs every d: a crash of the
// machine loses up to d of what was acknowledged. It spares flash.
func Interval(d time.Duration) Level { return Level(max(d, 1)) }

func (l Level) String() string {
	switch {
	case l == Sync:
		return "sync"
	case l < 0:
		return "memory (lossy)"
	default:
		return "interval " + time.Duration(l).String() + " (lossy)"
	}
}

// Options of a log; the zero value works.
type Options struct {
	// Partitions is fixed when the log is created: 4 by default. Opening with
	// another number is an error; 0 takes what is there.
	Partitions int
	// SegmentBytes is the size of one file: 64 MiB by default, 32 KiB to 1 GiB.
	SegmentBytes int64
	// Level is when an append counts as durable.
	Level Level
	// Gather is how long a sync waits for the committers of the last one to
	// come back, 0 to 1 ms: fewer, larger syncs for a little latency.
	Gather time.Duration
	// Budget bounds the bytes that wait for the disk, 128 MiB by default, 1 GiB
	// at most; beyond it Append refuses with ErrFull.
	Budget int64
	// MaxAge and MaxBytes bound what is kept, by whole segments; 0 is no bound.
	// MaxBytes is at least four segments. When a required consumer needs what
	// MaxBytes would remove, acknowledgements are withheld until it moves on.
	MaxAge   time.Duration
	MaxBytes int64
	// Required are consumers that hold retention before their first Require.
	Required []string
	// Idle is how often Through moves on while nothing is appended and somebody
	// reads: 1 s by default. Each time costs one small sync.
	Idle time.Duration

	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	FS      FS
}

const (
	defaultPartitions   = 4
	defaultSegmentBytes = 64 << 20
	minSegmentBytes     = 32 << 10
	maxSegmentBytes     = 1 << 30
	defaultBudget       = 128 << 20
	maxBudget           = 1 << 30
	maxGather           = time.Millisecond
	minKept             = 4 // segments that MaxBytes must hold
)

func (o Options) withDefaults() (Options, error) {
	o.SegmentBytes = either(o.SegmentBytes, defaultSegmentBytes)
	o.Budget = either(o.Budget, defaultBudget)
	o.Idle = either(o.Idle, time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	switch {
	case o.Partitions < 0 || o.Partitions > maxPartitions:
		return o, fmt.Errorf("eventlog/disk: %d partitions: choose 1 to %d", o.Partitions, maxPartitions)
	case o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes:
		return o, fmt.Errorf("eventlog/disk: segments of %d bytes: choose %d to %d", o.SegmentBytes, minSegmentBytes, maxSegmentBytes)
	case o.Budget < 0 || o.Budget > maxBudget:
		return o, fmt.Errorf("eventlog/disk: budget of %d bytes: choose 1 to %d", o.Budget, maxBudget)
	case o.Gather < 0 || o.Gather > maxGather:
		return o, fmt.Errorf("eventlog/disk: gather of %v: choose 0 to %v", o.Gather, maxGather)
	case o.MaxAge < 0 || o.Idle < 0:
		return o, errors.New("eventlog/disk: maximal age and idle time cannot be negative")
	case o.MaxBytes != 0 && o.MaxBytes < minKept*o.SegmentBytes:
		return o, fmt.Errorf("eventlog/disk: keeping %d bytes: choose %d (%d segments) or more, or smaller segments", o.MaxBytes, minKept*o.SegmentBytes, minKept)
	}
	return o, nil
}

func either[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// A Log is a log in a folder. All methods are safe for concurrent use.
type Log struct {
	format
	dir    string
	opts   Options
	logger *slog.Logger
	lock   io.Closer

	mu      sync.Mutex // appends
	filling *pending
	spare   *pending
	next    []int64 // per partition: the sequence number of the next append
	clock   int64   // µs: the last time given to an append, or promised to readers
	waiting int64   // bytes of the budget in use
	failed  error
	closing bool

	appended chan struct{} // filling has something; capacity 1
	beat     chan struct{} // a reader wants Through to move on; capacity 1
	moved    chan struct{} // a required consumer moved on; capacity 1
	closed   chan struct{} // Close was called
	finished chan struct{} // the writer ended
	closeErr error         // of the writer's last steps; read after finished

	w writer // the writer goroutine's own

	pub     sync.Mutex // what readers see
	segs    []*segment // oldest first, never empty
	durable []int64    // per partition: behind the newest durable record
	time    int64      // µs: nothing that becomes durable later is enqueued earlier
	wake    chan struct{}
	held    map[string]map[int]int64 // durable positions of required consumers
	bytes   int64                    // of all segment files
	why     string                   // acknowledgements are withheld, or ""

	files    sync.Mutex // handles of segments, and their removal
	auditing sync.Mutex
	found    found // guarded by pub

	metrics *metrics
}

// found sums up the damage that was met.
type found struct {
	damage
	cut  int64 // bytes of torn tails
	torn int64 // records in them, where their index could be read
}

var (
	_ eventlog.Log      = (*Log)(nil)
	_ eventlog.Retainer = (*Log)(nil)
)

// Open opens the log in dir, or creates it. Damage does not stop it: what
// cannot be read is set aside, logged, and counted in Stats.
func Open(dir string, o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeFolder(o.FS, dir); err != nil {
		return nil, fmt.Errorf("eventlog/disk: creating the folder %s: %w", dir, err)
	}
	lock, err := o.FS.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("eventlog/disk: %s: %w", dir, err)
	}
	l := &Log{
		dir: dir, opts: o, logger: o.Logger, lock: lock,
		appended: make(chan struct{}, 1), beat: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		closed: make(chan struct{}), finished: make(chan struct{}),
		held: make(map[string]map[int]int64),
	}
	for _, name := range o.Required {
		l.held[name] = nil
	}
	if err := l.start(); err != nil {
		lock.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) start() error {
	if err := l.recover(); err != nil {
		return err
	}
	newest := l.segs[len(l.segs)-1]
	l.next = slices.Clone(newest.next)
	l.durable = slices.Clone(newest.next)
	l.clock, l.time = newest.last, newest.last
	l.filling, l.spare = newPending(l.partitions), newPending(l.partitions)
	if err := l.register(l.opts.Metrics); err != nil {
		return err
	}
	go l.write()
	return nil
}

// Close makes what is queued durable, refuses what comes later, ends reads with
// ErrClosed, and seals the newest segment. What waits for disk space or for a
// required consumer is refused. It must not be called by a done callback.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closing
	l.closing = true
	l.mu.Unlock()
	if first {
		close(l.closed)
	}
	<-l.finished
	if !first {
		return nil
	}
	l.unregister(l.opts.Metrics)
	if err := l.lock.Close(); err != nil {
		return fmt.Errorf("eventlog/disk: unlocking %s: %w", l.dir, err)
	}
	return l.closeErr
}

func newID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
