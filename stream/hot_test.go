package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/mem"
	"github.com/weir-iot/weir/telemetry"
)

func message(device, body string) telemetry.Message {
	return telemetry.Message{DeviceID: device, Body: []byte(body)}
}

// TestHotDelay has a single message in the store within 50 ms.
func TestHotDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(2), newTestStore(t)
		stop := start(t, NewHot(log, st, HotOptions{}))
		synctest.Wait()
		log.append(1, message("d", `{"t":1}`))
		time.Sleep(50 * time.Millisecond)
		docs := read(t, st, "d")
		if len(docs) != 1 || string(docs[0].Data) != `{"t":1}` || docs[0].ID != "~0001-000000000000-00000" {
			t.Errorf("after 50 ms the store has %+v", docs)
		}
		if life := docs[0].Expires.Sub(docs[0].Time); life != 7*24*time.Hour {
			t.Errorf("the document lives %v", life)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestHotOnceAcrossRuns stops and starts while messages come: each is there
// once, and no run reads again what the store has.
func TestHotOnceAcrossRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(3), newTestStore(t)
		const n = 200
		for i := range n {
			log.append(i%3, message(fmt.Sprint("d", i%3), fmt.Sprint(i)))
		}
		for round := range 4 {
			h := NewHot(log, st, HotOptions{BatchBytes: 500})
			stop := start(t, h)
			time.Sleep(time.Duration(round) * linger * 3 / 2)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			for p := range h.Stats().Partitions { // none, if the stop was faster
				mark, _ := st.Mark(t.Context(), "hot", p)
				if s := h.Stats().Partitions[p]; s.Applied != mark || s.Durable != mark {
					t.Errorf("round %d: %+v, but the mark is %d", round, s, mark)
				}
				if got := len(read(t, st, fmt.Sprint("d", p))); int64(got) != mark+1 {
					t.Errorf("round %d: %d documents up to mark %d", round, got, mark)
				}
			}
		}
		if got := len(read(t, st, "d0")) + len(read(t, st, "d1")) + len(read(t, st, "d2")); got != n {
			t.Errorf("%d documents, want %d", got, n)
		}
		if last := log.started[len(log.started)-1][0]; last != eventlog.After(66) {
			t.Errorf("the last run began %v, want behind all", last)
		}
	})
}

// TestHotCheckpoints has the log told what is durable: after a flush, never
// before, and what was there before the start first of all.
func TestHotCheckpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(2), newTestStore(t)
		require := func(durable map[int]int64) { st.note(fmt.Sprint(durable)) }
		stop := start(t, NewHot(log, st, HotOptions{FlushEvery: time.Minute, Require: require}))
		log.append(0, message("d", "1"), message("d", "2"))
		time.Sleep(59 * time.Second)
		want := "flush map[0:-1 1:-1]"
		if got := strings.Join(st.noted(), " "); got != want {
			t.Errorf("at first: %s, want %s", got, want)
		}
		time.Sleep(61 * time.Second) // the second minute has nothing new
		want += " flush map[0:1 1:-1]"
		if got := strings.Join(st.noted(), " "); got != want {
			t.Errorf("after two minutes: %s, want %s", got, want)
		}
		log.append(1, message("e", "3"))
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		want += " flush map[0:1 1:0]"
		if got := strings.Join(st.noted(), " "); got != want {
			t.Errorf("at the end: %s, want %s", got, want)
		}
	})
}

// TestHotWaitsForStore has a store that fails for a while: nothing is lost or
// goes past it, and the error is shown.
func TestHotWaitsForStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(1), newTestStore(t)
		broken := errors.New("disk on fire")
		st.set(func([]store.Document) error { return broken })
		h := NewHot(log, st, HotOptions{BatchBytes: 300})
		stop := start(t, h)
		for i := range 50 {
			log.append(0, message("d", fmt.Sprint(i)))
		}
		time.Sleep(10 * time.Minute)
		if s := h.Stats(); !errors.Is(s.LastError, broken) || s.Partitions[0].Applied != -1 {
			t.Errorf("while the store fails: %+v", s)
		}
		st.set(nil)
		time.Sleep(longWait + time.Second)
		s := h.Stats()
		if s.LastError != nil || s.Partitions[0].Applied != 49 {
			t.Errorf("after it works again: %+v", s)
		}
		if lag := s.Partitions[0].Lag; lag < 10*time.Minute || lag > 11*time.Minute {
			t.Errorf("the lag is %v: the last record is 10 minutes old", lag)
		}
		if got := len(read(t, st, "d")); got != 50 {
			t.Errorf("%d documents, want 50", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestHotStopsBeforeBrokenStore ends while the store fails: Run comes back in
// bounded time with the error, and no mark has passed what is not written.
func TestHotStopsBeforeBrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(1), newTestStore(t)
		broken := errors.New("disk on fire")
		st.set(func([]store.Document) error { return broken })
		stop := start(t, NewHot(log, st, HotOptions{BatchBytes: 300}))
		for i := range 50 {
			log.append(0, message("d", fmt.Sprint(i)))
		}
		time.Sleep(time.Second)
		// Works again only after the stop was asked for: what comes late must
		// still come in order.
		began := time.Now()
		if err := stop(); !errors.Is(err, broken) {
			t.Errorf("Run ended with %v", err)
		}
		if took := time.Since(began); took > drainTimeout+longWait {
			t.Errorf("the stop took %v", took)
		}
		st.set(nil)
		if mark, _ := st.Mark(t.Context(), "hot", 0); mark != -1 {
			t.Errorf("the mark is %d with nothing written", mark)
		}
		stop = start(t, NewHot(log, st, HotOptions{}))
		time.Sleep(time.Second)
		if got := len(read(t, st, "d")); got != 50 {
			t.Errorf("%d documents after the next run, want 50", got)
		}
		_ = stop()
	})
}

// TestHotDeadLetter has a store that refuses two documents for good.
func TestHotDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(1), newTestStore(t)
		st.set(func(docs []store.Document) error {
			for _, d := range docs {
				if strings.Contains(string(d.Data), "poison") && d.DeviceID != DeadLetterDevice {
					return fmt.Errorf("%w: poison", store.ErrInvalid)
				}
			}
			return nil
		})
		var logged strings.Builder
		h := NewHot(log, st, HotOptions{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		stop := start(t, h)
		for i := range 20 {
			body := fmt.Sprint(i)
			if i == 3 || i == 15 {
				body = `"poison"`
			}
			log.append(0, message("d", body))
		}
		log.append(0, message("d", "["+strings.Repeat("0,", MaxRows)+"0]"))
		time.Sleep(time.Second)
		if got := len(read(t, st, "d")); got != 18 {
			t.Errorf("%d documents, want 18", got)
		}
		dead := read(t, st, DeadLetterDevice)
		if len(dead) != 3 {
			t.Fatalf("%d dead letters, want 3", len(dead))
		}
		for _, d := range dead {
			if !strings.Contains(string(d.Data), `"deviceId":"d"`) {
				t.Errorf("a dead letter without its device: %s", d.Data)
			}
		}
		if s := h.Stats(); s.Partitions[0].Applied != 20 || s.LastError != nil {
			t.Errorf("%+v", s)
		}
		_ = stop()
		if n := strings.Count(logged.String(), "dead letter"); n != 2 {
			t.Errorf("logged %d times, want once per cause:\n%s", n, &logged)
		}
	})
}

// TestHotTrimmed goes on behind what retention took, and says how much that was.
func TestHotTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(2), newTestStore(t)
		for i := range 10 {
			log.append(0, message("d", fmt.Sprint(i)))
			log.append(1, message("e", fmt.Sprint(i)))
		}
		if err := st.Upsert(t.Context(), nil, store.Mark{Consumer: "hot", Ordinal: 2}); err != nil {
			t.Fatal(err)
		}
		log.trim(0, 7) // 3 to 6 are gone
		log.trim(1, 4) // nothing was read of this partition: nothing is missed
		var logged strings.Builder
		stop := start(t, NewHot(log, st, HotOptions{Logger: slog.New(slog.NewTextHandler(&logged, nil))}))
		time.Sleep(time.Second)
		_ = stop()
		if d, e := len(read(t, st, "d")), len(read(t, st, "e")); d != 3 || e != 6 {
			t.Errorf("%d and %d documents, want 3 and 6", d, e)
		}
		if !strings.Contains(logged.String(), "partition=0 seq=3 records=4") || strings.Contains(logged.String(), "partition=1 seq") {
			t.Errorf("logged:\n%s", &logged)
		}
	})
}

// TestHotAheadOfLog ends with the error: to go on would drop new records as old.
func TestHotAheadOfLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(1), newTestStore(t)
		log.fail(eventlog.ErrAhead{})
		if err := NewHot(log, st, HotOptions{}).Run(t.Context()); !errors.As(err, new(eventlog.ErrAhead)) {
			t.Errorf("Run ended with %v", err)
		}
	})
}

// TestHotReadErrors follows again behind where a read broke off.
func TestHotReadErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(1), newTestStore(t)
		h := NewHot(log, st, HotOptions{})
		stop := start(t, h)
		for i := range 30 {
			log.append(0, message("d", fmt.Sprint(i)))
			if i%10 == 5 {
				log.fail(errors.New("read broke off"))
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Second)
		if got := len(read(t, st, "d")); got != 30 {
			t.Errorf("%d documents, want 30", got)
		}
		log.fail(eventlog.ErrClosed)
		synctest.Wait()
		if err := stop(); !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("Run ended with %v after the log was closed", err)
		}
	})
}

// TestHotCheck tells a store that is ahead of the log while it can be told, and
// is content with any other.
func TestHotCheck(t *testing.T) {
	log := logmem.New(logmem.Options{Partitions: 2})
	defer log.Close()
	st := mem.New(nil)
	h := NewHot(log, st, HotOptions{})
	if err := h.Check(t.Context()); err != nil {
		t.Errorf("a new log and a new store: %v", err)
	}
	for range 3 {
		log.Append([]telemetry.Message{{DeviceID: "d", Body: []byte("1")}}, func(error) {})
	}
	p := eventlog.Partition("d", 2)
	for mark, fits := range map[int64]bool{0: true, 2: true, 3: false} {
		st := mem.New(nil)
		if err := st.Upsert(t.Context(), nil, store.Mark{Consumer: "hot", Shard: p, Ordinal: mark}); err != nil {
			t.Fatal(err)
		}
		err := NewHot(log, st, HotOptions{}).Check(t.Context())
		if fits && err != nil || !fits && !errors.As(err, new(eventlog.ErrAhead)) {
			t.Errorf("mark %d of 3 records: %v", mark, err)
		}
	}
}

// TestHotRunner: as a job, the consumer shows what it did.
func TestHotRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, st := newFakeLog(2), newTestStore(t)
		h := NewHot(log, st, HotOptions{})
		stop := start(t, h)
		log.append(0, message("d", `{"a":1}`), message("d", `[{"a":2},{"a":3}]`))
		log.append(1, message("e", `{"a":4}`))
		time.Sleep(9 * time.Second)
		if s := h.Runner().Stats(); s.Events != 3 || s.Rows != 4 || s.RowsPerSecond != 0.4 || len(s.Feeds) != 2 || s.Watermark.IsZero() || s.DeadLetters != 0 {
			t.Errorf("%+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
