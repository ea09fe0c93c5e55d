package disk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/telemetry"
)

// A buffer is a log that goroutines may share.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) count(s string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), s)
}

func message(i int) telemetry.Message {
	return telemetry.Message{DeviceID: fmt.Sprint("d", i%7), Body: fmt.Appendf(nil, "body %d", i)}
}

// start appends msg and returns where its result comes.
func start(l *Log, msgs ...telemetry.Message) <-chan error {
	done := make(chan error, 1)
	l.Append(msgs, func(err error) { done <- err })
	return done
}

// TestStopsForGood: after the first error of a write or sync nothing is written
// or acknowledged any more; what was durable stays readable.
func TestStopsForGood(t *testing.T) {
	for _, c := range []struct{ op, level string }{
		{"write", "sync"}, {"sync", "sync"}, {"create", "sync"}, {"rename", "sync"}, {"syncdir", "sync"}, {"write", "memory"},
	} {
		t.Run(c.op+" "+c.level, func(t *testing.T) {
			m := newMemFS()
			var said buffer
			o := Options{FS: m, SegmentBytes: minSegmentBytes, Logger: slog.New(slog.NewTextHandler(&said, nil))}
			if c.level == "memory" {
				o.Level = Memory
			}
			l := mustOpen(t, "log", o)
			logtest.Append(t, l, message(0))
			m.setFault(func(op, name string) error {
				if op == c.op {
					return syscall.EIO
				}
				return nil
			})
			large := telemetry.Message{DeviceID: "large", Body: make([]byte, minSegmentBytes)} // needs a new segment
			err := <-start(l, large)
			if !errors.Is(err, eventlog.ErrFailed) || !errors.Is(err, syscall.EIO) {
				t.Fatalf("an append that failed: %v", err)
			}
			m.setFault(nil)
			writes := m.writes
			select {
			case err := <-start(l, message(1)):
				if !errors.Is(err, eventlog.ErrFailed) {
					t.Errorf("an append after the failure: %v", err)
				}
			default:
				t.Error("an append after the failure is not refused at once")
			}
			if got := logtest.All(t, l); len(got) != 1 {
				t.Errorf("%d messages are readable, want the first", len(got))
			}
			if err := l.Stats().Failed; !errors.Is(err, syscall.EIO) {
				t.Errorf("Stats say %v", err)
			}
			if err := l.Close(); !errors.Is(err, eventlog.ErrFailed) {
				t.Errorf("Close says %v", err)
			}
			if m.writes != writes {
				t.Errorf("%d writes after the failure", m.writes-writes)
			}
			if n := said.count(`msg="log stopped`); n != 1 {
				t.Errorf("logged %d times", n)
			}
		})
	}
}

// TestFailureReachesAll: what is in flight and what is queued behind it all
// fail, in order.
func TestFailureReachesAll(t *testing.T) {
	m := newMemFS()
	l := mustOpen(t, "log", Options{FS: m, Level: Sync})
	inSync, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.setFault(func(op, _ string) error {
		if op != "sync" {
			return nil
		}
		m.mu.Unlock() // the disk is slow, not locked
		defer m.mu.Lock()
		once.Do(func() { close(inSync) })
		<-release
		return syscall.EIO
	})
	var order []int
	var wg sync.WaitGroup
	add := func(i int) {
		wg.Add(1)
		l.Append([]telemetry.Message{message(i)}, func(err error) {
			defer wg.Done()
			order = append(order, i)
			if !errors.Is(err, eventlog.ErrFailed) {
				t.Errorf("append %d: %v", i, err)
			}
		})
	}
	add(0)
	<-inSync
	for i := 1; i < 20; i++ {
		add(i)
	}
	if n := l.Stats().Partitions; n[0].Next+n[1].Next+n[2].Next+n[3].Next != 0 {
		t.Errorf("readers see what is not synced: %v", n)
	}
	close(release)
	wg.Wait()
	for i := range order {
		if order[i] != i {
			t.Fatalf("callbacks ran as %v", order)
		}
	}
}

// TestDiskFull: a full disk withholds acknowledgements, says so once, and goes
// on by itself; Close does not wait for it.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		var said buffer
		l := mustOpen(t, "log", Options{FS: m, SegmentBytes: minSegmentBytes, Budget: 1 << 20, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		full := func(op, _ string) error {
			if op == "allocate" {
				return syscall.ENOSPC
			}
			return nil
		}
		m.setFault(full)
		large := telemetry.Message{DeviceID: "a", Body: make([]byte, 30_000)}
		logtest.Append(t, l, telemetry.Message{DeviceID: "a"})
		first := start(l, large)
		time.Sleep(10 * time.Second)
		select {
		case err := <-first:
			t.Fatalf("acknowledged on a full disk: %v", err)
		default:
		}
		if why := l.Stats().Withheld; !strings.Contains(why, "disk is full") {
			t.Errorf("Stats say %q", why)
		}
		var last error
		for range 100 {
			l.Append([]telemetry.Message{large}, func(err error) {
				if err != nil {
					last = err
				}
			})
		}
		if !errors.Is(last, eventlog.ErrFull) {
			t.Errorf("a full budget: %v", last)
		}
		m.setFault(nil)
		if err := <-first; err != nil {
			t.Errorf("after space came back: %v", err)
		}
		logtest.Append(t, l, telemetry.Message{DeviceID: "a"})
		if s := l.Stats(); s.Withheld != "" || s.Failed != nil {
			t.Errorf("after space came back: %+v", s)
		}
		if n := said.count("withheld"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		m.setFault(full)
		first = start(l, large, large, large)
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-first; !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("what waited for space: %v", err)
		}
	})
}

// TestOpensOnFullDisk: a full disk refuses no start.
func TestOpensOnFullDisk(t *testing.T) {
	m := newMemFS()
	l := mustOpen(t, "log", Options{FS: m, SegmentBytes: minSegmentBytes})
	logtest.Append(t, l, message(0))
	killed := m.killed()
	killed.setFault(func(op, _ string) error {
		if op == "allocate" || op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	l = mustOpen(t, "log", Options{FS: killed, SegmentBytes: minSegmentBytes})
	if n := len(logtest.All(t, l)); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// TestReadErrorIsNoDamage: what a disk refuses to give now may come later.
func TestReadErrorIsNoDamage(t *testing.T) {
	m := newMemFS()
	l := mustOpen(t, "log", Options{FS: m})
	logtest.Append(t, l, message(0))
	m.setFault(func(op, _ string) error {
		if op == "read" {
			return errInjected
		}
		return nil
	})
	_, err := logtest.Collect(t.Context(), l, eventlog.AllFrom(4, eventlog.Oldest()), eventlog.AllFrom(4, eventlog.Latest()))
	if !errors.Is(err, errInjected) {
		t.Errorf("the read ends with %v", err)
	}
	m.setFault(nil)
	if n := len(logtest.All(t, l)); n != 1 || l.Stats().DamagedBytes != 0 {
		t.Errorf("%d messages, %d damaged bytes", n, l.Stats().DamagedBytes)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Partitions: 3})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("opening twice: %v", err)
	}
	logtest.Append(t, l, message(0))
	l.Close()
	if _, err := Open(dir, Options{Partitions: 5}); err == nil || !strings.Contains(err.Error(), "has 3 partitions, not 5") {
		t.Errorf("opening with another number of partitions: %v", err)
	}
	l = mustOpen(t, dir, Options{})
	if n, _ := l.Partitions(t.Context()); n != 3 {
		t.Errorf("%d partitions, want those that the log was created with", n)
	}
	for _, o := range []Options{
		{Partitions: -1}, {Partitions: maxPartitions + 1}, {SegmentBytes: 1}, {SegmentBytes: maxSegmentBytes + 1},
		{Budget: -1}, {Gather: time.Second}, {MaxAge: -1}, {MaxBytes: 1},
	} {
		if _, err := Open(t.TempDir(), o); err == nil {
			t.Errorf("options %+v are accepted", o)
		}
	}
}
