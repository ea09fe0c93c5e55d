package stream

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// trial is a random input of several partitions, and a policy.
type trial struct {
	policy Policy
	own    bool
	over   bool
	parts  [][]telemetry.Message
}

var trialBase = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newTrial makes messages with equal times, arrays, events that are early, late
// and out of order, and bodies that are no JSON.
func newTrial(r *rand.Rand) *trial {
	second := func(n int) time.Duration { return time.Duration(r.IntN(n)) * time.Second }
	c := &trial{policy: Policy{Late: second(20), OutOfOrder: second(8), Drop: r.IntN(2) == 0}, own: r.IntN(4) > 0, over: r.IntN(3) == 0}
	for p := range 1 + r.IntN(4) {
		arrival := trialBase
		var msgs []telemetry.Message
		for seq := range r.IntN(60) {
			arrival = arrival.Add(time.Duration(r.IntN(3)*r.IntN(4)) * time.Second)
			m := telemetry.Message{DeviceID: fmt.Sprint("d", r.IntN(3)), Partition: p, Seq: int64(seq), EnqueuedAt: arrival}
			one := func() string {
				own := arrival.Add(second(8) - second(30))
				if r.IntN(30) == 0 {
					own = arrival.Add(Early + second(10) - 2*time.Second)
				}
				return fmt.Sprintf(`{"t":%q,"d":%q,"n":%d,"s":"a\u0062%d"}`, own.Format(time.RFC3339), m.DeviceID, r.IntN(100), seq)
			}
			switch r.IntN(10) {
			case 0:
				m.Body = fmt.Appendf(nil, "[%s, %s,3,%s]", one(), one(), one())
			case 1:
				m.Body = []byte(`{"t":`)
			case 2:
				m.Body = []byte("[]")
			case 3:
				m.Body = []byte(`{"n":1}`)
			default:
				m.Body = []byte(one())
			}
			msgs = append(msgs, m)
		}
		c.parts = append(c.parts, msgs)
	}
	return c
}

func (c *trial) plan() InputPlan {
	plan := InputPlan{Alias: "in", Columns: []InputColumn{
		{Path: []string{"t"}}, {Path: []string{"s"}}, {Metadata: []string{"IoTHub", "ConnectionDeviceId"}},
		{Metadata: []string{"EventId"}}, {Metadata: []string{"IoTHub"}}, {},
	}}
	if c.own {
		plan.Timestamp = func(row *saql.Row) (saql.Value, error) {
			if row.Values[0].IsNull() {
				return saql.Null, nil
			}
			return saql.Convert(row.Values[0], saql.KindDatetime)
		}
	}
	if c.over {
		plan.Over = append(plan.Over, func(row *saql.Row) (saql.Value, error) { return row.Values[2], nil })
	}
	return plan
}

// trialRun is a reading of a trial's input, batched at random.
type trialRun struct {
	c       *trial
	r       *rand.Rand
	sources []*intake
	merge   *merge
	next    []int
	ended   []bool
	out     []string
}

func (c *trial) start(r *rand.Rand, at []resume, done progress) *trialRun {
	run := &trialRun{c: c, r: r, next: make([]int, len(c.parts)), ended: make([]bool, len(c.parts))}
	var ranks []int
	for p := range c.parts {
		line := newTimeline(c.own, c.over, c.policy)
		run.sources = append(run.sources, newIntake(newRowMaker(c.plan(), IngestOptions{}, false), line, 1000, at[p]))
		ranks = append(ranks, p)
		run.next[p] = int(at[p].after) + 1
	}
	run.merge = newMerge(ranks, at)
	run.merge.skip, run.merge.done = done, done
	return run
}

// step gives what can be given, at most max events, then one batch to the slowest.
func (t *trialRun) step(test *testing.T, max int) (more bool) {
	for range max {
		e, i := t.merge.next()
		if e != nil {
			t.out = append(t.out, show(e, i))
			e.block.done()
			continue
		}
		if t.ended[i] {
			return false
		}
		if old := t.merge.put(i, t.read(test, i)); old != nil && old.next != len(old.events) {
			test.Fatal("a run was replaced before it was empty")
		}
		return true
	}
	return true
}

func (t *trialRun) read(test *testing.T, p int) *run {
	src, msgs := t.sources[p], t.c.parts[p]
	n := min(len(msgs)-t.next[p], t.r.IntN(7))
	batch := make([]telemetry.Message, n)
	for i := range batch {
		batch[i] = msgs[t.next[p]+i].Clone()
	}
	src.add(batch)
	for i := range batch { // a batch is not valid any more
		for k := range batch[i].Body {
			batch[i].Body[k] = '!'
		}
	}
	t.next[p] += n
	if t.next[p] == len(msgs) {
		src.through(trialBase.Add(1000 * time.Hour))
		t.ended[p] = true
	} else if next := msgs[t.next[p]].EnqueuedAt; t.r.IntN(2) == 0 {
		src.through(next.Add(-time.Duration(t.r.IntN(10)) * time.Second))
	}
	r := new(run)
	if err := src.cut(r); err != nil {
		test.Fatal(err)
	}
	return r
}

// show tells all of an event.
func show(e *event, rank int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d/%d/%d", e.at, rank, e.seq, e.index)
	if e.dead != nil {
		fmt.Fprintf(&b, " dead: %s", e.dead.Reason)
	}
	var bytes []byte
	for _, v := range e.values {
		bytes = saql.AppendValue(bytes, v)
	}
	fmt.Fprintf(&b, " %q", bytes)
	return b.String()
}

func (t *trialRun) toEnd(test *testing.T) []string {
	for t.step(test, 1<<30) {
	}
	return t.out
}

func fresh(parts int) []resume {
	at := make([]resume, parts)
	for p := range at {
		at[p].after = -1
	}
	return at
}

// TestOrderHoldsForAnyBatches reads random inputs with random batches, again and
// again: it is the same rows in the same order, by time.
func TestOrderHoldsForAnyBatches(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newTrial(r)
		want := c.start(r, fresh(len(c.parts)), beginning).toEnd(t)
		for range 3 {
			got := c.start(r, fresh(len(c.parts)), beginning).toEnd(t)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %+v: other batches give other events:\n%s", seed, c.policy, cmp.Diff(want, got))
			}
		}
		if !slices.IsSortedFunc(want, func(a, b string) int { return strings.Compare(a[:28], b[:28]) }) {
			t.Fatalf("seed %d: not in the order of time:\n%s", seed, strings.Join(want, "\n"))
		}
	}
}

// TestResumeAnywhere stops a reading at a random moment and goes on from what
// its lanes say, as a restored job does: nothing is missing, nothing comes twice.
func TestResumeAnywhere(t *testing.T) {
	stopped := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		c := newTrial(r)
		want := c.start(r, fresh(len(c.parts)), beginning).toEnd(t)
		var got []string
		at, done := fresh(len(c.parts)), beginning
		for {
			run := c.start(r, at, done)
			steps, more := r.IntN(40), true
			for ; steps > 0 && more; steps-- {
				more = run.step(t, 1+r.IntN(5))
			}
			got = append(got, run.out...)
			if !more {
				break
			}
			stopped++
			done = run.merge.done
			for p := range at {
				at[p] = run.merge.lanes[p].resume
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, %+v: stopping changes the events:\n%s", seed, c.policy, cmp.Diff(want, got))
		}
	}
	if stopped < 300 {
		t.Errorf("only %d stops", stopped)
	}
}

// TestDeadElementsAreBounded has an array of elements none of which has a time:
// their dead letters take no more than a small part of a kilobyte each.
func TestDeadElementsAreBounded(t *testing.T) {
	p := compileText(t, "SELECT n INTO out FROM hub TIMESTAMP BY t")
	rows := newRowMaker(p.Inputs()[0], IngestOptions{}, false)
	in := newIntake(rows, newTimeline(true, false, DefaultPolicy()), 1_000_000, resume{after: -1})
	for seq := range int64(2) {
		body := "[" + strings.Repeat(`{"n":1},`, 9_999) + `{"n":1}]`
		in.add([]telemetry.Message{{Body: []byte(body), Seq: seq, EnqueuedAt: time.Unix(1_700_000_000, 0)}})
	}
	bodies := 0
	for i, e := range in.pending {
		if e.dead == nil || e.dead.Index != i%10_000 || e.dead.Seq != int64(i/10_000) {
			t.Fatalf("event %d: %+v", i, e.dead)
		}
		bodies += len(e.dead.Body)
	}
	if len(in.pending) != 20_000 || bodies != 2*maxDeadBody {
		t.Errorf("%d dead letters keep %d bytes", len(in.pending), bodies)
	}
}

// TestBatchIsBounded has a batch of small messages that unpack to much: it is
// taken in parts, as many rows in all.
func TestBatchIsBounded(t *testing.T) {
	p := compileText(t, "SELECT n INTO out FROM hub")
	for _, part := range []string{strings.Repeat(" ", 1<<20) + `{"n":1}`, "[" + strings.Repeat(`{"n":1},`, 30_000) + `{"n":1}]`} {
		in := newIntake(newRowMaker(p.Inputs()[0], IngestOptions{}, false), newTimeline(false, false, Policy{}), math.MaxInt, resume{after: -1})
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write([]byte(part))
		_ = w.Close()
		batch := make([]telemetry.Message, 10)
		for i := range batch {
			batch[i] = telemetry.Message{Body: packed.Bytes(), Encoding: "gzip", Seq: int64(i), EnqueuedAt: time.Unix(1_700_000_000, 0)}
		}
		var r run
		parts := 0
		for rest := batch; len(rest) > 0; parts++ {
			rest = in.add(rest)
			if err := in.cut(&r); err != nil {
				t.Fatal(err)
			}
			for i := range r.events {
				r.events[i].block.done()
			}
		}
		if parts != 4 && parts != 5 || in.counts.messages != 10 || in.counts.undecoded != 0 || in.counts.rows%10 != 0 {
			t.Errorf("%d parts: %+v", parts, in.counts)
		}
	}
}

// TestHeldTextIsBounded holds back few events of large bodies: their size counts.
func TestHeldTextIsBounded(t *testing.T) {
	p := compileText(t, "SELECT n INTO out FROM hub TIMESTAMP BY EventEnqueuedUtcTime")
	in := newIntake(newRowMaker(p.Inputs()[0], IngestOptions{}, false), newTimeline(true, false, Policy{OutOfOrder: time.Hour}), 100, resume{after: -1})
	body := []byte(strings.Repeat(" ", 30<<10) + "{}")
	for seq, want := range []error{nil, nil, nil, errHeld} {
		in.add([]telemetry.Message{{Body: body, Seq: int64(seq), EnqueuedAt: time.Unix(1_700_000_000, 0)}})
		if err := in.cut(new(run)); !errors.Is(err, want) {
			t.Errorf("message %d: %v", seq, err)
		}
	}
}
