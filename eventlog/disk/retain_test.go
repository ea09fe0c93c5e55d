package disk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/telemetry"
)

// tenth is a message of which about ten fill a segment.
func tenth(device string) telemetry.Message {
	return telemetry.Message{DeviceID: device, Body: make([]byte, minSegmentBytes/14)}
}

// TestRequired: the size cap never passes a required consumer; it withholds
// acknowledgements instead, and says so, until the consumer moves on.
func TestRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said buffer
		l := mustOpen(t, "log", Options{
			FS: newMemFS(), Partitions: 2, SegmentBytes: minSegmentBytes, MaxBytes: minKept * minSegmentBytes,
			Required: []string{"hot"}, Logger: slog.New(slog.NewTextHandler(&said, nil)),
		})
		appended := 0
		for {
			acked := start(l, tenth("a"))
			time.Sleep(5 * time.Second)
			select {
			case err := <-acked:
				if err != nil {
					t.Fatal(err)
				}
				if appended++; appended > 1000 {
					t.Fatal("the size cap does not hold")
				}
				continue
			default:
			}
			why := l.Stats().Withheld
			if !strings.Contains(why, "hot") {
				t.Errorf("Stats say %q", why)
			}
			if got := logtest.All(t, l); len(got) != appended || got[0].Seq != 0 {
				t.Errorf("%d messages are kept, want all %d", len(got), appended)
			}
			p := eventlog.Partition("a", 2)
			l.Require("hot", map[int]int64{p: 2}) // not enough for a segment
			time.Sleep(5 * time.Second)
			select {
			case <-acked:
				t.Fatal("the cap passed a required consumer")
			default:
			}
			l.Require("hot", map[int]int64{p: int64(appended) - 1})
			if err := <-acked; err != nil {
				t.Errorf("after the consumer moved on: %v", err)
			}
			break
		}
		s := l.Stats()
		if s.Withheld != "" || s.Bytes > minKept*minSegmentBytes || said.count("withheld") != 1 {
			t.Errorf("at the end: %+v, logged %d times", s, said.count("withheld"))
		}
		_, err := logtest.Collect(t.Context(), l, eventlog.AllFrom(2, eventlog.After(-1)), nil)
		var trimmed eventlog.ErrTrimmed
		if !errors.As(err, &trimmed) || trimmed.Partition != eventlog.Partition("a", 2) {
			t.Errorf("reading what was removed: %v", err)
		}
	})
}

// TestMaxAge: records go when they are older, also when nothing is appended, and
// also from the segment that was being written; required ones stay.
func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustOpen(t, "log", Options{FS: newMemFS(), Partitions: 1, SegmentBytes: minSegmentBytes, MaxAge: time.Hour})
		l.Require("lake", map[int]int64{0: 9})
		for i := range 100 {
			logtest.Append(t, l, tenth(fmt.Sprint(i)))
		}
		time.Sleep(30 * time.Minute)
		if n := len(logtest.All(t, l)); n != 100 {
			t.Fatalf("%d messages after half the time, want 100", n)
		}
		time.Sleep(time.Hour)
		got := logtest.All(t, l)
		if len(got) == 0 || got[0].Seq > 10 || got[0].Seq == 0 {
			t.Fatalf("%d messages are kept: want those after 9 and little more", len(got))
		}
		l.Require("lake", map[int]int64{0: 99})
		logtest.Append(t, l, tenth("later"))
		time.Sleep(time.Minute)
		if got := logtest.All(t, l); len(got) != 1 || got[0].Seq != 100 {
			t.Errorf("%d messages are kept, want the last alone", len(got))
		}
	})
}

// TestReadersPin: a reader goes on in the segment that it has, though it is
// removed, and only then finds out.
func TestReadersPin(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{Partitions: 1, SegmentBytes: minSegmentBytes, MaxBytes: minKept * minSegmentBytes, Level: Memory})
	for i := range 20 {
		logtest.Append(t, l, tenth(fmt.Sprint(i)))
	}
	read := 0
	var trimmed eventlog.ErrTrimmed
	for b, err := range l.Read(t.Context(), eventlog.AllFrom(1, eventlog.Oldest()), nil) {
		if err != nil {
			if !errors.As(err, &trimmed) {
				t.Fatal(err)
			}
			continue
		}
		if read == 0 {
			for i := range 200 {
				logtest.Append(t, l, tenth(fmt.Sprint(i)))
			}
		}
		for _, m := range b.Messages {
			if m.Seq != int64(read) || len(m.Body) == 0 {
				t.Fatalf("seq %d, want %d", m.Seq, read)
			}
			read++
		}
	}
	if read < 5 || trimmed.Oldest < 20 {
		t.Errorf("read %d messages, then %v", read, trimmed)
	}
}

// TestReopen: whatever was kept is there after Close and after a crash of the
// process, with the same numbers, and restarts leave no files behind.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	var want []telemetry.Message
	for range 5 {
		l := mustOpen(t, dir, Options{Partitions: 2, SegmentBytes: minSegmentBytes})
		for i := range 12 {
			msgs := []telemetry.Message{tenth(fmt.Sprint(i))}
			logtest.Append(t, l, msgs...)
			want = append(want, msgs[0])
		}
		got := logtest.All(t, l)
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		found := map[key]telemetry.Message{}
		for _, g := range got {
			found[key{g.Partition, g.Seq}] = g
		}
		for _, w := range want {
			g := found[key{w.Partition, w.Seq}]
			if g.DeviceID != w.DeviceID || !g.EnqueuedAt.Equal(w.EnqueuedAt) {
				t.Fatalf("seq %d of %s at %v came back as seq %d of %q at %v", w.Seq, w.DeviceID, w.EnqueuedAt, g.Seq, g.DeviceID, g.EnqueuedAt)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	before := mustOpen(t, dir, Options{})
	n := before.Stats().Segments
	before.Close()
	for range 5 {
		mustOpen(t, dir, Options{}).Close()
	}
	if l := mustOpen(t, dir, Options{}); l.Stats().Segments != n {
		t.Errorf("restarts without appends make segments: %d, then %d", n, l.Stats().Segments)
	}
}

// TestLargeGroups: one append may be larger than a segment and than what a
// reader holds, and comes back whole.
func TestLargeGroups(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{Partitions: 2, SegmentBytes: minSegmentBytes})
	for range 3 {
		batch := make([]telemetry.Message, 400)
		for i := range batch {
			batch[i] = telemetry.Message{DeviceID: fmt.Sprint(i), Body: bytes.Repeat(fmt.Append(nil, i, "."), 600)}
		}
		logtest.Append(t, l, batch...)
		logtest.Append(t, l, telemetry.Message{DeviceID: "0", Body: bytes.Repeat([]byte("0."), 600)})
	}
	count := map[string]int{}
	from, until := eventlog.AllFrom(2, eventlog.Oldest()), eventlog.AllFrom(2, eventlog.Latest())
	for b, err := range l.Read(t.Context(), from, until) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Messages { // all of the batch must be valid at once
			if want := bytes.Repeat([]byte(m.DeviceID+"."), 600); !bytes.Equal(m.Body, want) {
				t.Fatalf("seq %d of %q: body %.20q", m.Seq, m.DeviceID, m.Body)
			}
			count[strings.Clone(m.DeviceID)]++
		}
	}
	if len(count) != 400 || count["0"] != 6 || count["399"] != 3 {
		t.Errorf("%d devices, %d and %d messages of two", len(count), count["0"], count["399"])
	}
	one, err := logtest.Collect(t.Context(), l, eventlog.Positions{1: eventlog.After(100)}, eventlog.Positions{1: eventlog.After(110)})
	if err != nil || len(one) != 10 || one[0].Seq != 101 {
		t.Errorf("%d messages from the middle of a large group, %v", len(one), err)
	}
}

// TestSeek: positions within a segment of many marks, while it is written and
// after it is sealed.
func TestSeek(t *testing.T) {
	clock := logtest.NewClock()
	begin := clock.Now()
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{Partitions: 2, SegmentBytes: 4 << 20, Level: Memory, Now: clock.Now})
	var at [2]int64
	var times [2][]time.Time
	for i := range 1200 {
		if i%400 == 0 { // many marks have the same time
			clock.Add(time.Second)
		}
		msgs := []telemetry.Message{tenth(fmt.Sprint(i))}
		logtest.Append(t, l, msgs...)
		at[msgs[0].Partition]++
		times[msgs[0].Partition] = append(times[msgs[0].Partition], msgs[0].EnqueuedAt)
	}
	if n := len(l.newest().marks.offs); n < 8 || l.Stats().Segments != 1 {
		t.Fatalf("%d marks in %d segments: too little to look in", n, l.Stats().Segments)
	}
	for range 2 {
		for p := range 2 {
			for _, seq := range []int64{-1, 0, 1, 99, 300, at[p] - 2, at[p] - 1} {
				firstIs(t, l, p, eventlog.After(seq), seq+1, at[p])
				if seq >= 0 {
					first := slices.IndexFunc(times[p], times[p][seq].Equal)
					firstIs(t, l, p, eventlog.At(times[p][seq]), int64(first), at[p])
				}
			}
			firstIs(t, l, p, eventlog.At(begin), 0, at[p])
		}
		l.Close()
		l = mustOpen(t, dir, Options{})
	}
}

// TestSeekReadsLittle: finding a place reads the index, not the log.
func TestSeekReadsLittle(t *testing.T) {
	clock := logtest.NewClock()
	m := newMemFS()
	l := mustOpen(t, "log", Options{FS: m, Partitions: 1, SegmentBytes: 1 << 20, Now: clock.Now})
	var last telemetry.Message
	for i := range 3000 {
		clock.Add(time.Second)
		msgs := []telemetry.Message{tenth(fmt.Sprint(i))}
		logtest.Append(t, l, msgs...)
		last = msgs[0]
	}
	for _, pos := range []eventlog.Position{eventlog.After(last.Seq - 1), eventlog.At(last.EnqueuedAt), eventlog.Latest()} {
		reads := 0
		m.setFault(func(op, _ string) error {
			if op == "read" {
				reads++
			}
			return nil
		})
		if _, err := logtest.Collect(t.Context(), l, eventlog.AllFrom(1, pos), eventlog.AllFrom(1, eventlog.Latest())); err != nil {
			t.Fatal(err)
		}
		if reads > 5 {
			t.Errorf("%v takes %d reads in a log of %d segments", pos, reads, l.Stats().Segments)
		}
	}
}

// firstIs checks that a read of partition p from pos to its end begins with seq.
func firstIs(t *testing.T, l *Log, p int, pos eventlog.Position, seq, end int64) {
	t.Helper()
	got, err := logtest.Collect(t.Context(), l, eventlog.Positions{p: pos}, eventlog.Positions{p: eventlog.Latest()})
	if err != nil || int64(len(got)) != end-seq || len(got) > 0 && got[0].Seq != seq {
		t.Errorf("partition %d %v: %d messages, %v; want %d from %d on", p, pos, len(got), err, end-seq, seq)
	}
}

// TestRemovedSegment: who comes too late for a file that retention took finds
// that out, and is not told of an I/O error.
func TestRemovedSegment(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{})
	s := newSegment(0, make([]int64, 4))
	l.remove(s)
	if _, err := l.acquire(s); !errors.Is(err, errRemoved) {
		t.Errorf("opening a removed segment: %v", err)
	}
}
