// Package logtest is the contract of eventlog as tests: every engine runs it.
// It promises that an engine which passes keeps order, positions, times, errors
// and callbacks as eventlog says. It leaves out crashes and damage, which are
// an engine's own matter.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// Options are what the suite asks of an engine; zero values are the engine's own.
type Options struct {
	Partitions int
	Budget     int64            // bytes that may wait for durability
	Keep       int64            // bytes that are kept, about; older records are removed
	Now        func() time.Time // the log's clock
}

// An Opener opens an empty log and closes it when the test ends.
type Opener func(t *testing.T, o Options) eventlog.Log

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"Order", testOrder},
		{"RoundTrip", testRoundTrip},
		{"Callbacks", testCallbacks},
		{"Positions", testPositions},
		{"Follow", testFollow},
		{"Subset", testSubset},
		{"Cancel", testCancel},
		{"Through", testThrough},
		{"ClockStepsBack", testClockStepsBack},
		{"EndsWithTime", testEndsWithTime},
		{"SlowReader", testSlowReader},
		{"Trimmed", testTrimmed},
		{"Ahead", testAhead},
		{"WrongPartition", testWrongPartition},
		{"TooLarge", testTooLarge},
		{"Full", testFull},
		{"Close", testClose},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// patience ends a test that hangs; no test depends on how long it is.
const patience = time.Minute

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Append appends msgs and waits until they are durable.
func Append(t *testing.T, l eventlog.Log, msgs ...telemetry.Message) {
	t.Helper()
	if err := appendAll(l, msgs); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func appendAll(l eventlog.Log, msgs []telemetry.Message) error {
	done := make(chan error, 1)
	l.Append(msgs, func(err error) { done <- err })
	return <-done
}

// Collect returns clones of the messages of a read, in the order of the read.
func Collect(ctx context.Context, l eventlog.Reader, from, until eventlog.Positions) ([]telemetry.Message, error) {
	var all []telemetry.Message
	for b, err := range l.Read(ctx, from, until) {
		if err != nil {
			return all, err
		}
		for i := range b.Messages {
			if b.Messages[i].Partition != b.Partition {
				return all, fmt.Errorf("a message of partition %d is in a batch of %d", b.Messages[i].Partition, b.Partition)
			}
			all = append(all, b.Messages[i].Clone())
		}
	}
	return all, nil
}

// All returns clones of all durable messages.
func All(t *testing.T, l eventlog.Log) []telemetry.Message {
	t.Helper()
	n := partitions(t, l)
	all, err := Collect(deadline(t), l, eventlog.AllFrom(n, eventlog.Oldest()), eventlog.AllFrom(n, eventlog.Latest()))
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return all
}

func partitions(t *testing.T, l eventlog.Log) int {
	t.Helper()
	n, err := l.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// device returns the i-th device id of partition p of n.
func device(p, n, i int) string {
	for k := 0; ; k++ {
		id := fmt.Sprintf("device-%d", k)
		if eventlog.Partition(id, n) != p {
			continue
		}
		if i == 0 {
			return id
		}
		i--
	}
}

// testOrder: with many appenders at once, partitions number their messages
// without a gap, and each device's messages keep the order of their appends.
func testOrder(t *testing.T, open Opener) {
	const devices, each = 16, 200
	l := open(t, Options{Partitions: 3})
	var wg sync.WaitGroup
	for d := range devices {
		wg.Go(func() {
			for i := 0; i < each; i += 2 {
				id := fmt.Sprintf("device-%d", d)
				err := appendAll(l, []telemetry.Message{
					{DeviceID: id, Body: fmt.Append(nil, i)}, {DeviceID: id, Body: fmt.Append(nil, i+1)}})
				if err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	wg.Wait()
	all := All(t, l)
	if len(all) != devices*each {
		t.Errorf("%d messages, want %d", len(all), devices*each)
	}
	seq, last, count := map[int]int64{}, map[int]time.Time{}, map[string]int{}
	for _, m := range all {
		if want := eventlog.Partition(m.DeviceID, 3); m.Partition != want {
			t.Fatalf("%s is in partition %d, want %d", m.DeviceID, m.Partition, want)
		}
		if m.Seq != seq[m.Partition] {
			t.Fatalf("partition %d: seq %d, want %d", m.Partition, m.Seq, seq[m.Partition])
		}
		if m.EnqueuedAt.Before(last[m.Partition]) {
			t.Fatalf("partition %d: seq %d is enqueued before its predecessor", m.Partition, m.Seq)
		}
		if want := fmt.Sprint(count[m.DeviceID]); string(m.Body) != want {
			t.Fatalf("%s: message %s, want %s", m.DeviceID, m.Body, want)
		}
		seq[m.Partition]++
		last[m.Partition] = m.EnqueuedAt
		count[m.DeviceID]++
	}
}

// testCallbacks: they run once each, in call order, also for no messages; what
// they report can be read.
func testCallbacks(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 2})
	const n = 500
	var mu sync.Mutex
	var order []int
	last := make(chan struct{})
	for i := range n {
		msgs := []telemetry.Message{{DeviceID: "a"}, {DeviceID: "b"}, {DeviceID: "c"}}[:i%4]
		l.Append(msgs, func(err error) {
			if err != nil {
				t.Errorf("append %d: %v", i, err)
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			if i == n-1 {
				close(last)
			}
		})
	}
	<-last
	if got, want := len(All(t, l)), n/4*(0+1+2+3); got != want {
		t.Errorf("%d messages, want %d", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(order) != n || !slices.IsSorted(order) {
		t.Errorf("callbacks ran as %v", order)
	}
}

// testSubset: partitions that from does not name are not read.
func testSubset(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 3})
	for i := range 90 {
		Append(t, l, telemetry.Message{DeviceID: device(i%3, 3, i%5)})
	}
	for p := range 3 {
		from, until := eventlog.Positions{p: eventlog.Oldest()}, eventlog.AllFrom(3, eventlog.Latest())
		got, err := Collect(deadline(t), l, from, until)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 30 || slices.ContainsFunc(got, func(m telemetry.Message) bool { return m.Partition != p }) {
			t.Errorf("partition %d: %d messages, want 30 of it alone", p, len(got))
		}
	}
	if got, err := Collect(deadline(t), l, nil, nil); len(got) != 0 || err != nil {
		t.Errorf("reading no partition: %d messages, %v", len(got), err)
	}
}

// testSlowReader: a reader that holds a batch keeps it whole and holds nobody up.
func testSlowReader(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 1})
	for i := range 100 {
		Append(t, l, telemetry.Message{DeviceID: "slow", Body: fmt.Append(nil, i)})
	}
	from := eventlog.AllFrom(1, eventlog.Oldest())
	held := false
	next := 0
	for b, err := range l.Read(deadline(t), from, eventlog.AllFrom(1, eventlog.After(1099))) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Messages) > 0 && !held {
			held = true
			for i := range 1000 {
				Append(t, l, telemetry.Message{DeviceID: "fast", Body: fmt.Append(nil, 100+i)})
			}
			if n := len(All(t, l)); n != 1100 {
				t.Fatalf("another reader got %d messages, want 1100", n)
			}
		}
		for i := range b.Messages {
			if string(b.Messages[i].Body) != fmt.Sprint(next) {
				t.Fatalf("message %d is %q", next, b.Messages[i].Body)
			}
			next++
		}
	}
	if next != 1100 {
		t.Errorf("%d messages, want 1100", next)
	}
}

// testCancel: a waiting read ends with the context's error, and one that is
// left by break leaves nothing behind.
func testCancel(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 2})
	Append(t, l, telemetry.Message{DeviceID: "a"})
	for range l.Read(deadline(t), eventlog.AllFrom(2, eventlog.Oldest()), nil) {
		break
	}
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	var last error
	for b, err := range l.Read(ctx, eventlog.AllFrom(2, eventlog.Oldest()), nil) {
		if last = err; err == nil && len(b.Messages) == 0 { // it waits now
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("a cancelled read ends with %v", last)
	}
}
