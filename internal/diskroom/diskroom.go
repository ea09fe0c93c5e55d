// Package diskroom makes Pebble wait out a full disk. By itself Pebble ends the
// process when its write-ahead log or manifest meets one; here the write waits
// until there is room and goes on. Other I/O errors pass.
package diskroom

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// poll is how often a full disk is looked at.
const poll = 200 * time.Millisecond

// Wait returns a file system like fs whose writes wait while the disk of dir
// is full, until it has room bytes free. It tells log when it begins and ends
// to wait, for what. The end of ctx ends the waiting.
func Wait(ctx context.Context, fs vfs.FS, dir, what string, room uint64, log *slog.Logger) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		log.Error("the disk is full, writing waits: free some space", "of", what, "folder", dir, "bytes", room)
		t := time.NewTicker(poll)
		defer t.Stop()
		for {
			if use, err := fs.GetDiskUsage(dir); err != nil || use.AvailBytes >= room {
				log.Info("the disk has room again", "of", what, "folder", dir)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
}
