package disk

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/telemetry"
)

// TestCloseRefusesTheRest: once Close has refused what waited for room, nothing
// behind it is taken, though there may be room by then: its sequence numbers
// would come again after a restart, for other records.
func TestCloseRefusesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o := Options{FS: m, Partitions: 1, SegmentBytes: minSegmentBytes, MaxBytes: minKept * minSegmentBytes, Required: []string{"hot"}}
		l := mustOpen(t, "log", o)
		kept := 0
		for full := false; !full; {
			msgs := []telemetry.Message{tenth("a")}
			refused := make(chan error, 1)
			l.Append(msgs, func(err error) {
				if errors.Is(err, eventlog.ErrClosed) { // the consumer comes too late
					l.Require("hot", map[int]int64{0: int64(kept) - 1})
				}
				refused <- err
			})
			synctest.Wait()
			select {
			case err := <-refused:
				if err != nil {
					t.Fatal(err)
				}
				kept++
				continue
			default:
			}
			behind := start(l, tenth("a"), tenth("a"), tenth("a"))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-refused; !errors.Is(err, eventlog.ErrClosed) {
				t.Fatalf("what waited for room: %v", err)
			}
			if err := <-behind; !errors.Is(err, eventlog.ErrClosed) {
				t.Errorf("what came behind it: %v", err)
			}
			full = true
		}
		l = mustOpen(t, "log", o)
		l.Require("hot", map[int]int64{0: int64(kept) + 10})
		msgs := []telemetry.Message{tenth("a")}
		logtest.Append(t, l, msgs...)
		if s := l.Stats(); msgs[0].Seq != int64(kept) || s.DamagedRecords != 0 {
			t.Errorf("after %d records came %d: %+v", kept, msgs[0].Seq, s)
		}
	})
}

// TestMaxAgeWhileRead: that time moves on for a reader keeps no record alive.
func TestMaxAgeWhileRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, "log", Options{FS: newMemFS(), Partitions: 1, SegmentBytes: 1 << 20, MaxAge: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range l.Read(ctx, eventlog.AllFrom(1, eventlog.Latest()), nil) {
			}
		}()
		logtest.Append(t, l, tenth("a"))
		time.Sleep(time.Hour + time.Minute)
		logtest.Append(t, l, tenth("b"))
		time.Sleep(time.Minute)
		if got := logtest.All(t, l); len(got) != 1 || got[0].DeviceID != "b" {
			t.Errorf("%d messages are kept, want the young one", len(got))
		}
		cancel()
		<-ended
	})
}

// TestCancelWhileSkipping: a reader that finds nothing of its partition ends
// with its context, not with the log.
func TestCancelWhileSkipping(t *testing.T) {
	m := newMemFS()
	l := mustOpen(t, "log", Options{FS: m, Partitions: 2, SegmentBytes: minSegmentBytes})
	device, other := "a", "b"
	if eventlog.Partition(device, 2) == eventlog.Partition(other, 2) {
		t.Fatal("the devices share a partition")
	}
	logtest.Append(t, l, tenth(other))
	for range 300 {
		logtest.Append(t, l, tenth(device))
	}
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	m.setFault(func(op, _ string) error {
		if op == "read" {
			if reads++; reads == 5 {
				cancel()
			}
		}
		return nil
	})
	got, err := logtest.Collect(ctx, l, eventlog.Positions{eventlog.Partition(other, 2): eventlog.Oldest()}, nil)
	if !errors.Is(err, context.Canceled) || len(got) != 1 || reads > 6 {
		t.Errorf("%d messages and %v after %d reads", len(got), err, reads)
	}
}

// TestNewFolderIsDurable: the folder of a new log is as durable as what is in it.
func TestNewFolderIsDurable(t *testing.T) {
	var synced []string
	fs := &folderFS{syncDir: func(dir string) { synced = append(synced, dir) }}
	root := t.TempDir()
	if err := makeFolder(fs, filepath.Join(root, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := makeFolder(fs, filepath.Join(root, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if len(synced) < 2 || synced[0] != filepath.Join(root, "a") || synced[1] != root {
		t.Errorf("synced %q", synced)
	}
}

type folderFS struct {
	osFS
	syncDir func(string)
}

func (f *folderFS) SyncDir(dir string) error {
	f.syncDir(dir)
	return f.osFS.SyncDir(dir)
}

// TestShortFile: a file that lost its end, header and all, counts as damage and
// never as less than none.
func TestShortFile(t *testing.T) {
	im := newImage(t, 1, true)
	m := im.fs.crash(rand.New(rand.NewPCG(1, 1)))
	name := m.segments()[1]
	m.names[name].data = nil
	l := mustOpen(t, "log", Options{FS: m})
	if s := l.Stats(); s.DamagedBytes <= 0 {
		t.Errorf("%+v", s)
	}
}
