package disk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/telemetry"
)

// key names a record.
type key struct {
	partition int
	seq       int64
}

// A ledger is what a test knows of a log from outside: what was given to it, and
// of that what was acknowledged.
type ledger struct {
	mu    sync.Mutex
	given map[string]telemetry.Message // by body, which is unique
	acked map[key]string               // bodies
	count int
}

func newLedger() *ledger {
	return &ledger{given: map[string]telemetry.Message{}, acked: map[key]string{}}
}

// append gives l a batch of unlike messages.
func (d *ledger) append(l *Log, rng *rand.Rand, done func()) {
	d.mu.Lock()
	msgs := make([]telemetry.Message, 1+rng.IntN(4))
	for i := range msgs {
		d.count++
		msgs[i] = telemetry.Message{
			DeviceID:   fmt.Sprint("d", rng.IntN(9)),
			Properties: telemetry.Properties{{Key: "k", Value: "v"}},
			Body:       fmt.Appendf(nil, "%d %s", d.count, bytes.Repeat([]byte("x"), rng.IntN(300))),
		}
		d.given[string(msgs[i].Body)] = msgs[i]
	}
	d.mu.Unlock()
	l.Append(msgs, func(err error) {
		if err == nil {
			d.mu.Lock()
			for i := range msgs {
				d.acked[key{msgs[i].Partition, msgs[i].Seq}] = string(msgs[i].Body)
			}
			d.mu.Unlock()
		}
		done()
	})
}

func (d *ledger) snapshot() map[key]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := make(map[key]string, len(d.acked))
	for k, v := range d.acked {
		c[k] = v
	}
	return c
}

// check compares what the log has with what was acknowledged: nothing that was
// not given, nothing twice, order and numbers as acknowledged. It returns how
// many acknowledged records are missing.
func (d *ledger) check(t *testing.T, l *Log, acked map[key]string) int {
	t.Helper()
	seen := map[string]bool{}
	last := map[int]int64{}
	found := map[key]bool{}
	for _, m := range logtest.All(t, l) {
		body := string(m.Body)
		d.mu.Lock()
		given, ok := d.given[body]
		d.mu.Unlock()
		if !ok || given.DeviceID != m.DeviceID || len(m.Properties) != 1 {
			t.Fatalf("partition %d, seq %d: %q was never appended", m.Partition, m.Seq, body)
		}
		if seen[body] {
			t.Fatalf("%q is there twice", body)
		}
		seen[body] = true
		if before, ok := last[m.Partition]; ok && m.Seq <= before {
			t.Fatalf("partition %d: seq %d after %d", m.Partition, m.Seq, before)
		}
		last[m.Partition] = m.Seq
		k := key{m.Partition, m.Seq}
		if want, ok := acked[k]; ok && want != body {
			t.Fatalf("partition %d, seq %d: %q, acknowledged was %q", m.Partition, m.Seq, body, want)
		}
		found[k] = true
	}
	missing := 0
	for k := range acked {
		if !found[k] {
			missing++
		}
	}
	return missing
}

// runs is how often a random test repeats.
func runs(t *testing.T, full int) int {
	t.Helper()
	if testing.Short() || raceEnabled {
		return full / 20
	}
	return full
}

// powerCuts appends at the given level, cuts the power at random moments, goes
// on after some of them, and returns how much of what was acknowledged is gone.
func powerCuts(t *testing.T, level Level, rounds int) (missing, total int) {
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newMemFS()
		o := Options{FS: m, SegmentBytes: minSegmentBytes, Level: level}
		l := mustOpen(t, "log", o)
		d := newLedger()
		for range 2 {
			n := 1 + rng.IntN(60)
			var wg sync.WaitGroup
			wg.Add(n)
			cut := rng.IntN(n)
			var acked map[key]string
			var after *memFS
			for i := range n {
				d.append(l, rng, wg.Done)
				if rng.IntN(4) == 0 {
					runtime.Gosched() // let the writer at it
				}
				if i == cut {
					acked = d.snapshot() // before the cut: nothing later may count
					after = m.crash(rng)
				}
			}
			wg.Wait()
			o.FS = after
			again := mustOpen(t, "log", o)
			missing += d.check(t, again, acked)
			total += len(acked)
			if s := again.Stats(); level == Sync && (s.DamagedBytes != 0 || s.DamagedRecords != 0) {
				t.Fatalf("seed %d: a power cut counts as damage: %+v", seed, s)
			}
			l.Close()
			// What was cut off may be given again under other numbers.
			l, m = again, after
			d = newLedger()
			for _, r := range logtest.All(t, l) {
				d.given[string(r.Body)] = r
				d.acked[key{r.Partition, r.Seq}] = string(r.Body)
				d.count = max(d.count, number(r.Body))
			}
			d.count += 1000 // not those that are lost
		}
		l.Close()
	}
	return missing, total
}

func number(body []byte) int {
	var n int
	_, _ = fmt.Sscan(string(body), &n)
	return n
}

func TestPowerCutLosesNothing(t *testing.T) {
	missing, total := powerCuts(t, Sync, runs(t, 1000))
	if missing != 0 || total == 0 {
		t.Errorf("%d of %d acknowledged records are lost", missing, total)
	}
	t.Logf("%d records were acknowledged before a cut", total)
}

// TestPowerCutShowsLoss: the same cuts must show what lossy levels lose, or the
// test above proves nothing.
func TestPowerCutShowsLoss(t *testing.T) {
	for _, level := range []Level{Memory, Interval(time.Hour)} {
		if n, _ := powerCuts(t, level, 40); n == 0 {
			t.Errorf("%v: 40 power cuts lost nothing", level)
		}
	}
}

// TestTornTail cuts the last group at every byte: what was there before stays,
// the group is there whole or not at all, and the log goes on.
func TestTornTail(t *testing.T) {
	m := newMemFS()
	o := Options{FS: m, SegmentBytes: minSegmentBytes, Partitions: 2}
	l := mustOpen(t, "log", o)
	for i := range 5 {
		logtest.Append(t, l, message(i))
	}
	from := l.newest().end
	logtest.Append(t, l, message(5), message(6), message(7))
	to := l.newest().end
	image := m.killed()
	name := m.segments()[0]
	for _, zeros := range []bool{false, true} { // preallocated or not
		for cut := from; cut <= to; cut++ {
			after := image.killed()
			f := after.names[name]
			if zeros {
				clear(f.data[cut:])
			} else {
				f.data = f.data[:cut]
			}
			o.FS = after
			l := mustOpen(t, "log", o)
			got, s := len(logtest.All(t, l)), l.Stats()
			whole := !bytes.ContainsFunc(image.names[name].data[cut:to], func(r rune) bool { return r != 0 })
			switch {
			case got != 5 && got != 8, got == 5 && whole:
				t.Fatalf("cut at %d of [%d,%d): %d messages", cut, from, to, got)
			case s.DamagedBytes != 0:
				t.Fatalf("cut at %d: a torn tail counts as damage: %+v", cut, s)
			case got == 5 && zeros && cut > from && s.CutBytes == 0:
				t.Fatalf("cut at %d: the tail that was cut is not counted", cut)
			}
			logtest.Append(t, l, message(8))
			if n := len(logtest.All(t, l)); n != got+1 {
				t.Fatalf("cut at %d: %d messages after one more, want %d", cut, n, got+1)
			}
			l.Close()
		}
	}
}

// TestDamageIsNoTail: a damaged group with whole ones behind it was synced once:
// it is set aside, not cut, in the last segment too.
func TestDamageIsNoTail(t *testing.T) {
	for name, harm := range map[string]func([]byte){
		"header": func(b []byte) { clear(b[:groupHead]) },
		"record": func(b []byte) { b[groupHead+runEntry+recordHead] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemFS()
			o := Options{FS: m, SegmentBytes: minSegmentBytes, Partitions: 1}
			l := mustOpen(t, "log", o)
			logtest.Append(t, l, message(0))
			second := l.newest().end
			for i := 1; i < 10; i++ {
				logtest.Append(t, l, message(i))
			}
			after := m.killed()
			harm(after.names[m.segments()[0]].data[second:])
			o.FS = after
			l = mustOpen(t, "log", o)
			var seqs []int64
			for _, g := range logtest.All(t, l) {
				seqs = append(seqs, g.Seq)
			}
			if !slices.Equal(seqs, []int64{0, 2, 3, 4, 5, 6, 7, 8, 9}) || l.Stats().DamagedRecords != 1 {
				t.Errorf("sequence numbers %v, %+v", seqs, l.Stats())
			}
		})
	}
}

// TestTimeAcrossRestarts: a clock that steps back over a restart, or a crash,
// takes back no time that was given or promised.
func TestTimeAcrossRestarts(t *testing.T) {
	clock := logtest.NewClock()
	m := newMemFS()
	o := Options{FS: m, Partitions: 1, SegmentBytes: minSegmentBytes, Now: clock.Now, Idle: time.Millisecond}
	l := mustOpen(t, "log", o)
	logtest.Append(t, l, message(0))
	clock.Add(time.Hour)
	promised := clock.Now()
	for b, err := range l.Read(t.Context(), eventlog.AllFrom(1, eventlog.Oldest()), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Messages) == 0 && !b.Through.Before(promised) {
			break
		}
	}
	clock.Add(-24 * time.Hour)
	for _, fs := range []*memFS{m.crash(rand.New(rand.NewPCG(1, 1))), m.killed()} {
		o.FS = fs
		again := mustOpen(t, "log", o)
		msg := []telemetry.Message{message(1)}
		logtest.Append(t, again, msg...)
		if msg[0].EnqueuedAt.Before(promised) {
			t.Errorf("enqueued at %v after the promise of %v", msg[0].EnqueuedAt, promised)
		}
		again.Close()
	}
}
