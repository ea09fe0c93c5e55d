package logtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// A Clock is a clock that a test moves.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that stands at the start of 2026.
func NewClock() *Clock { return &Clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

// Now returns where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Add moves the clock, back if d is negative.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// testPositions: reads between all kinds of positions give what they name.
func testPositions(t *testing.T, open Opener) {
	clock := NewClock()
	start := clock.Now()
	l := open(t, Options{Partitions: 2, Now: clock.Now})
	var kept [2][]telemetry.Message
	for i := range 60 {
		if i%3 == 0 {
			clock.Add(time.Second)
		}
		m := []telemetry.Message{{DeviceID: device(i%2, 2, i%4), Body: fmt.Append(nil, i)}}
		Append(t, l, m...)
		kept[i%2] = append(kept[i%2], m[0])
	}
	positions := []eventlog.Position{
		eventlog.Oldest(), eventlog.Latest(),
		eventlog.After(-1), eventlog.After(0), eventlog.After(14), eventlog.After(28), eventlog.After(29),
		eventlog.At(start), eventlog.At(start.Add(time.Second)), eventlog.At(start.Add(7 * time.Second)),
		eventlog.At(start.Add(7*time.Second + 1)), eventlog.At(start.Add(20 * time.Second)),
	}
	for _, from := range positions {
		for _, until := range positions {
			for p := range 2 {
				want := slices.Clone(kept[p][index(kept[p], from):])
				if n := index(kept[p], until) - index(kept[p], from); n < len(want) {
					want = want[:max(0, n)]
				}
				got, err := Collect(deadline(t), l, eventlog.Positions{p: from}, eventlog.Positions{p: until})
				if err != nil {
					t.Fatalf("partition %d from %v until %v: %v", p, from, until, err)
				}
				same := func(a, b telemetry.Message) bool { return a.Seq == b.Seq && string(a.Body) == string(b.Body) }
				if !slices.EqualFunc(got, want, same) {
					t.Errorf("partition %d from %v until %v: %d messages, want %d", p, from, until, len(got), len(want))
				}
			}
		}
	}
}

// index is how many of msgs are before a position.
func index(msgs []telemetry.Message, p eventlog.Position) int {
	switch p.Kind {
	case eventlog.KindAfter:
		return int(p.Seq) + 1
	case eventlog.KindLatest:
		return len(msgs)
	case eventlog.KindAt:
		i := slices.IndexFunc(msgs, func(m telemetry.Message) bool { return !m.EnqueuedAt.Before(p.Time) })
		if i < 0 {
			return len(msgs)
		}
		return i
	default:
		return 0
	}
}

// testFollow: a read without an end gets what comes later, and Latest skips
// what is there.
func testFollow(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 2})
	Append(t, l, telemetry.Message{DeviceID: "old"}, telemetry.Message{DeviceID: "older"})
	const n = 50
	appended, next := 0, 0
	for b, err := range l.Read(deadline(t), eventlog.AllFrom(2, eventlog.Latest()), nil) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Messages {
			if want := fmt.Sprint(next); string(b.Messages[i].Body) != want {
				t.Fatalf("message %q, want %q", b.Messages[i].Body, want)
			}
			next++
		}
		if next == n {
			return
		}
		if appended == next {
			Append(t, l, telemetry.Message{DeviceID: fmt.Sprint(next % 7), Body: fmt.Append(nil, next)})
			appended++
		}
	}
	t.Errorf("the read ended after %d messages", next)
}

// testThrough: a reader that has everything is told how far time is, and no
// record comes that is earlier, though the clock steps back.
func testThrough(t *testing.T, open Opener) {
	clock := NewClock()
	l := open(t, Options{Partitions: 2, Now: clock.Now})
	Append(t, l, telemetry.Message{DeviceID: "a"})
	clock.Add(time.Hour)
	goal := clock.Now()
	through := map[int]time.Time{}
	behind := false
	for b, err := range l.Read(deadline(t), eventlog.AllFrom(2, eventlog.Oldest()), nil) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Messages {
			if m.EnqueuedAt.Before(through[b.Partition]) {
				t.Fatalf("partition %d: a record of %v after the promise of %v", b.Partition, m.EnqueuedAt, through[b.Partition])
			}
			if string(m.Body) == "last" {
				return
			}
		}
		if len(b.Messages) > 0 {
			continue
		}
		if b.Through.Before(through[b.Partition]) {
			t.Fatalf("partition %d: Through went back", b.Partition)
		}
		through[b.Partition] = b.Through
		if !behind && !through[0].Before(goal) && !through[1].Before(goal) {
			behind = true
			clock.Add(-30 * time.Minute)
			Append(t, l, telemetry.Message{DeviceID: "a", Body: []byte("last")})
		}
	}
}

func testClockStepsBack(t *testing.T, open Opener) {
	clock := NewClock()
	l := open(t, Options{Partitions: 2, Now: clock.Now})
	steps := []time.Duration{0, time.Second, -time.Hour, time.Minute, 2 * time.Hour, -time.Nanosecond, 999 * time.Nanosecond}
	var last time.Time
	for i, d := range steps {
		clock.Add(d)
		m := []telemetry.Message{{DeviceID: fmt.Sprint(i)}}
		Append(t, l, m...)
		if m[0].EnqueuedAt.Before(last) {
			t.Errorf("step %d: enqueued at %v after %v", i, m[0].EnqueuedAt, last)
		}
		last = m[0].EnqueuedAt
	}
}

// testEndsWithTime: a read until a time ends when the time has come, though
// nothing is appended.
func testEndsWithTime(t *testing.T, open Opener) {
	clock := NewClock()
	l := open(t, Options{Partitions: 2, Now: clock.Now})
	Append(t, l, telemetry.Message{DeviceID: "a"})
	until := eventlog.AllFrom(2, eventlog.At(clock.Now().Add(time.Minute)))
	read := 0
	for b, err := range l.Read(deadline(t), eventlog.AllFrom(2, eventlog.Oldest()), until) {
		if err != nil {
			t.Fatal(err)
		}
		if read += len(b.Messages); len(b.Messages) == 0 {
			clock.Add(time.Minute) // it has everything and waits
		}
	}
	if read != 1 {
		t.Errorf("%d messages, want 1", read)
	}
}
