package pebble

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// retryWait is the pause before a flush or compaction that failed is tried again.
	retryWait = time.Second
	// sayAgain is the pause between two lines about a failure that lasts.
	sayAgain = time.Minute
)

// backoff is a file system that lets Pebble create a file only some time after
// a background failure: by itself Pebble tries again at once, thousands of
// times a second on a disk that is gone. The end of ctx ends the waiting.
type backoff struct {
	vfs.FS
	ctx    context.Context
	failed atomic.Bool
	log    *slog.Logger
	said   time.Time // of the goroutine that reports, which Pebble serialises
}

// report is Pebble's event of a background failure. It must not wait: Pebble
// holds its lock.
func (b *backoff) report(err error) {
	b.failed.Store(true)
	if now := time.Now(); now.Sub(b.said) >= sayAgain {
		b.said = now
		b.log.Error("the hot store cannot write; it tries again every second, the log keeps what it lacks", "error", err)
	}
}

// Create waits where the last try failed.
func (b *backoff) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if b.failed.CompareAndSwap(true, false) {
		t := time.NewTimer(retryWait)
		defer t.Stop()
		select {
		case <-b.ctx.Done():
		case <-t.C:
		}
	}
	return b.FS.Create(name, category)
}
