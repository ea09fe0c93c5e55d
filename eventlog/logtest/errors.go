package logtest

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// testTrimmed: a position that retention passed ends the read with the place to
// go on from.
func testTrimmed(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 1, Keep: 1 << 20})
	m := telemetry.Message{DeviceID: "a", Body: make([]byte, 10_000)}
	for range 1000 {
		Append(t, l, m)
	}
	from := func(p eventlog.Position) error {
		_, err := Collect(deadline(t), l, eventlog.AllFrom(1, p), eventlog.AllFrom(1, eventlog.Latest()))
		return err
	}
	var trimmed eventlog.ErrTrimmed
	if err := from(eventlog.After(-1)); !errors.As(err, &trimmed) || trimmed.Partition != 0 || trimmed.Oldest <= 0 {
		t.Fatalf("reading what is gone: %v", err)
	}
	if err := from(eventlog.After(trimmed.Oldest - 2)); !errors.As(err, &trimmed) {
		t.Errorf("reading the newest that is gone: %v", err)
	}
	if err := from(eventlog.After(trimmed.Oldest - 1)); err != nil {
		t.Errorf("reading from Oldest on: %v", err)
	}
	all := All(t, l)
	if len(all) == 0 || all[0].Seq != trimmed.Oldest || all[len(all)-1].Seq != 999 {
		t.Errorf("%d messages are kept, want those from %d to 999", len(all), trimmed.Oldest)
	}
}

func testAhead(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 1})
	Append(t, l, telemetry.Message{DeviceID: "a"})
	until := eventlog.AllFrom(1, eventlog.Latest())
	_, err := Collect(deadline(t), l, eventlog.AllFrom(1, eventlog.After(1)), until)
	var ahead eventlog.ErrAhead
	if !errors.As(err, &ahead) || ahead != (eventlog.ErrAhead{Partition: 0, Next: 1}) {
		t.Errorf("reading after a record that never was: %v", err)
	}
	if got, err := Collect(deadline(t), l, eventlog.AllFrom(1, eventlog.After(0)), until); len(got) != 0 || err != nil {
		t.Errorf("reading after the newest: %d messages, %v", len(got), err)
	}
}

func testWrongPartition(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 2})
	for _, p := range []int{-1, 2} {
		if _, err := Collect(deadline(t), l, eventlog.Positions{p: eventlog.Oldest()}, nil); err == nil {
			t.Errorf("reading partition %d of 2 is no error", p)
		}
	}
}

// refused appends msgs and returns the error, which must come before Append
// returns and leave nothing behind.
func refused(t *testing.T, l eventlog.Log, msgs ...telemetry.Message) error {
	t.Helper()
	var got error
	calls := 0
	l.Append(msgs, func(err error) { got = err; calls++ })
	if calls != 1 {
		t.Fatalf("done ran %d times before Append returned", calls)
	}
	return got
}

func testTooLarge(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 1})
	small := telemetry.Message{DeviceID: "a"}
	large := telemetry.Message{DeviceID: "a", Body: make([]byte, eventlog.MaxMessage+1)}
	if err := refused(t, l, small, large, small); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("a large message: %v", err)
	}
	Append(t, l, small)
	if all := All(t, l); len(all) != 1 || all[0].Seq != 0 {
		t.Errorf("%d messages, want the last alone", len(all))
	}
}

func testFull(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 2, Budget: 64 << 10})
	batch := make([]telemetry.Message, 100)
	for i := range batch {
		batch[i] = telemetry.Message{DeviceID: "a", Body: make([]byte, 1000)}
	}
	if err := refused(t, l, batch...); !errors.Is(err, eventlog.ErrFull) {
		t.Errorf("an append beyond the budget: %v", err)
	}
	Append(t, l, batch[:10]...)
	if n := len(All(t, l)); n != 10 {
		t.Errorf("%d messages, want 10", n)
	}
}

// A signal closes waiting when a reader of it first has nothing to do.
type signal struct {
	eventlog.Reader
	waiting chan struct{}
}

func (s signal) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		first := true
		for b, err := range s.Reader.Read(ctx, from, until) {
			if first && (err != nil || len(b.Messages) == 0) {
				first = false
				close(s.waiting)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// testClose: what was appended before is kept, what comes later is refused, and
// reads end.
func testClose(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 1})
	const n = 100
	results := make(chan error, n)
	for range n {
		l.Append([]telemetry.Message{{DeviceID: "a"}}, func(err error) { results <- err })
	}
	waiting, ended := make(chan struct{}), make(chan error)
	go func() {
		_, err := Collect(deadline(t), signal{l, waiting}, eventlog.AllFrom(1, eventlog.Oldest()), nil)
		ended <- err
	}()
	<-waiting
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	for range n {
		select {
		case err := <-results:
			if err != nil {
				t.Fatalf("an append before Close: %v", err)
			}
		default:
			t.Fatal("Close returned before a callback ran")
		}
	}
	if err := <-ended; !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("a read ends with %v", err)
	}
	if err := refused(t, l, telemetry.Message{DeviceID: "a"}); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("an append after Close: %v", err)
	}
	if _, err := Collect(deadline(t), l, eventlog.AllFrom(1, eventlog.Oldest()), nil); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("a read after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}
