// Package lake is the cold path: every message once, for years, as a Delta
// table of Parquet files in any bucket, which Spark, Databricks, Fabric,
// DuckDB, pandas and Power BI read in place.
//
//	telemetry/_delta_log/00000000000000000000.json …    the log: what is in the table
//	telemetry/year=2026/month=11/day=25/….parquet       the rows of one UTC day of EnqueuedAt
//	telemetry/_series/year=2026/month=11/day=25/….parquet  hourly aggregates of a compacted file
//
// It promises that rows and the mark of how far their source was read are
// committed together or not at all, also with several processes on one table
// and after a crash at any instant; that memory is bounded by its options; and
// that a body which cannot be taken apart is kept whole, with the reason. It
// keeps the Delta protocol's reader version 1 and writer version 2. It leaves
// out updates of rows: a row changes its file, by compaction, never its values.
package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/blob"
)

var (
	// ErrProtocol refuses a table that needs a newer reader or writer than this.
	ErrProtocol = errors.New("lake: the table needs a newer Delta protocol")
	// ErrCorrupt says that the log or a file is not what its format says.
	ErrCorrupt = errors.New("lake: corrupt table")
	// ErrConflict says that another process rewrote or removed the same files
	// first. Nothing was changed; the work can be done again.
	ErrConflict = errors.New("lake: the files were changed by another process")
)

// Options of a table. The zero value is what weir dev uses.
type Options struct {
	// Logger gets each cause of trouble once; nil logs nothing.
	Logger *slog.Logger
	// Now is the clock of file names and retention; nil is time.Now.
	Now func() time.Time
	// CheckpointEvery is the number of commits from one checkpoint of the log to
	// the next; 0 is 20.
	CheckpointEvery int64
	// DeletedFileRetention is how long a file is kept after it left the table,
	// for readers of older versions; 0 is 7 days.
	DeletedFileRetention time.Duration
}

// A Table is a Delta table in a bucket. It is safe for concurrent use, also by
// several processes.
type Table struct {
	bucket blob.Bucket
	root   string // the table's folder in the bucket, with a slash at its end
	opts   Options
	logger *slog.Logger

	mu   sync.Mutex
	snap *Snapshot // the newest that was read
}

// Open opens the table in a folder of a bucket, and creates it if there is none.
func Open(ctx context.Context, bucket blob.Bucket, folder string, opts Options) (*Table, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.CheckpointEvery <= 0 {
		opts.CheckpointEvery = 20
	}
	if opts.DeletedFileRetention <= 0 {
		opts.DeletedFileRetention = 7 * 24 * time.Hour
	}
	t := &Table{bucket: bucket, root: strings.Trim(folder, "/") + "/", opts: opts, logger: opts.Logger}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	s, err := t.load(ctx)
	if err == nil && s == nil {
		s, err = t.create(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("lake: opening %s: %w", folder, err)
	}
	t.keep(s)
	return t, nil
}

// keep remembers a snapshot unless a newer one is known, and returns the newer.
func (t *Table) keep(s *Snapshot) *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.snap == nil || s.Version > t.snap.Version {
		t.snap = s
	}
	return t.snap
}

func (t *Table) known() *Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snap
}

// Snapshot returns the table as it is now.
func (t *Table) Snapshot(ctx context.Context) (*Snapshot, error) {
	s, err := t.refresh(ctx, t.known())
	if err != nil {
		return nil, fmt.Errorf("lake: reading the log: %w", err)
	}
	return t.keep(s), nil
}

// An upload streams an object of the table into the bucket.
type upload struct {
	path string
	size atomic.Int64 // bytes so far
	pipe *io.PipeWriter
	done chan error
}

var errAborted = errors.New("lake: aborted")

// upload begins an object; it is there when close returns nil.
func (t *Table) upload(ctx context.Context, path string) *upload {
	r, w := io.Pipe()
	u := &upload{path: path, pipe: w, done: make(chan error, 1)}
	go func() {
		err := t.bucket.Put(ctx, t.root+path, r)
		r.CloseWithError(cmp.Or(err, errAborted))
		u.done <- err
	}()
	return u
}

func (u *upload) Write(p []byte) (int, error) {
	n, err := u.pipe.Write(p)
	u.size.Add(int64(n))
	return n, err
}

// close ends the object, or, with an error, drops it, and returns that error or
// the bucket's.
func (u *upload) close(err error) error {
	u.pipe.CloseWithError(err)
	return cmp.Or(err, <-u.done)
}

// put writes an object of the table and returns its size.
func (t *Table) put(ctx context.Context, path string, write func(io.Writer) error) (size int64, err error) {
	u := t.upload(ctx, path)
	err = u.close(write(u))
	return u.size.Load(), err
}
