package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/telemetry"
)

// fullFS is a disk that is full while full is set.
type fullFS struct {
	vfs.FS
	full atomic.Bool
}

type fullFile struct {
	vfs.File
	fs *fullFS
}

func (f fullFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return fullFile{file, f}, err
}

func (f *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if f.full.Load() {
		return vfs.DiskUsage{}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 40}, nil
}

// TestStopOnFullDisk stops a consumer while its store waits for the disk: Run
// returns in seconds, so does Close, and the record in the store's mark is the
// last that it has once there is room.
func TestStopOnFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &fullFS{FS: vfs.NewMem()}
		st, err := pebble.Open("db", pebble.Options{FS: fs, MemTableBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		log := newFakeLog(1)
		h := NewHot(log, st, HotOptions{BatchBytes: 8 << 10})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		synctest.Wait()
		fs.full.Store(true)
		const n = 3000
		for i := range n {
			log.append(0, telemetry.Message{DeviceID: "d", MessageID: fmt.Sprint(i), Body: fmt.Appendf(nil, `"%0200d"`, i)})
		}
		time.Sleep(time.Hour) // of the test's own clock
		applied := h.Stats().Partitions[0].Applied
		if applied >= n-1 {
			t.Fatal("all was written: the disk was not full")
		}
		start := time.Now()
		cancel()
		err = <-ended
		if waited := time.Since(start); err == nil || waited > 2*drainTimeout {
			t.Errorf("Run ended with %v after %v", err, waited)
		}
		start = time.Now()
		if err := st.Close(); err == nil || time.Since(start) > time.Minute {
			t.Errorf("Close ended with %v after %v", err, time.Since(start))
		}
		fs.full.Store(false)
		time.Sleep(time.Minute) // what Close left behind ends
		st, err = pebble.Open("db", pebble.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		mark, err := st.Mark(t.Context(), "hot", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(read(t, st, "d")); got != int(mark)+1 || mark < applied {
			t.Errorf("%d documents with mark %d, and %d was applied", got, mark, applied)
		}
	})
}
