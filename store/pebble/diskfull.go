package pebble

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// diskPoll is how often a full disk is looked at.
	diskPoll = 200 * time.Millisecond
	// diskRoom is the free space, in bytes, with which writing goes on.
	diskRoom = 64 << 20
)

// waitForRoom is a file system that waits while the disk is full, and tells
// so. Pebble would give up: it cannot go on without its manifest. Upserts wait
// then, too, as soon as the tables in memory are full. The end of ctx ends the
// waiting.
func waitForRoom(ctx context.Context, fs vfs.FS, dir string, log *slog.Logger) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		log.Error("the disk of the hot store is full, writing waits: free some space", "folder", dir, "bytes", diskRoom)
		t := time.NewTicker(diskPoll)
		defer t.Stop()
		for {
			if use, err := fs.GetDiskUsage(dir); err != nil || use.AvailBytes >= diskRoom {
				log.Info("the disk of the hot store has room again", "folder", dir)
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
