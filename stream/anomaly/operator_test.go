package anomaly

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weir-iot/weir/saql"
)

func TestFirstEventFillsTheHistory(t *testing.T) {
	d := newDetector(t, Options{Confidence: 95, History: 120, Interval: second}, false)
	if r := d.Process(start, 20); r.IsAnomaly || math.Abs(r.Score-0.5) > 1e-8 {
		t.Errorf("the first event: %+v", r)
	}
	if r := d.Process(start+second, 21); !r.IsAnomaly || r.Score != 1e-8 {
		t.Errorf("the second event: %+v", r)
	}
}

func TestImputedCopiesReportTheirAnomaly(t *testing.T) {
	o := Options{Confidence: 95, History: 20, Interval: second}
	d := newDetector(t, o, false)
	d.Process(start, 20)
	// Five slots pass. The first copy of 30 is unlike the history; the event
	// itself, after five of them, no more.
	r := d.Process(start+6*second, 30)
	if !r.IsAnomaly || r.Score != 1e-8 {
		t.Errorf("got %+v", r)
	}
}

func TestEventsOfOneSlotAddNothing(t *testing.T) {
	o := Options{Confidence: 95, History: 3, Interval: second}
	d, err := NewSpikeAndDip(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Process(start, 1)
	for i := range saql.Ticks(3) {
		d.Process(start+1+i, float64(2+i))
	}
	older, newer := d.history.parts()
	if got := append(append([]float32{}, older...), newer...); got[0] != 2 || got[1] != 3 || got[2] != 4 {
		t.Errorf("history %v", got)
	}
}

func TestConstantSignalAfterAGapHasScoreZero(t *testing.T) {
	o := Options{Confidence: 95, History: 20, Interval: second}
	zeros := 0
	for seed := range uint64(20) {
		d, l := newDetector(t, o, false), newLiteral(o, false)
		r := rand.New(rand.NewPCG(seed, 3))
		at := start
		for range 50 {
			at += second
			x := r.NormFloat64()
			d.Process(at, x)
			l.process(at, x)
		}
		at += 100 * second
		got, want := d.Process(at, 1.1), l.process(at, 1.1)
		if !same(got, want) {
			t.Errorf("seed %d: %+v, want %+v", seed, got, want)
		}
		at += second
		got, want = d.Process(at, 1.1), l.process(at, 1.1)
		if !same(got, want) {
			t.Errorf("seed %d: %+v, want %+v", seed, got, want)
		}
		if got == (Result{}) {
			zeros++
		}
	}
	if zeros == 0 {
		t.Error("no sum of distances became negative")
	}
}

func TestNotANumberLeavesNoTrace(t *testing.T) {
	o := Options{Confidence: 95, History: 5, Interval: second}
	for _, change := range []bool{false, true} {
		a, b := newDetector(t, o, change), newDetector(t, o, change)
		a.Process(start, 1)
		b.Process(start, 1)
		if r := a.Process(start+second, math.NaN()); r != (Result{}) {
			t.Errorf("got %+v", r)
		}
		a.Process(start+second, 2)
		b.Process(start+second, 2)
		if !bytes.Equal(a.Snapshot(nil), b.Snapshot(nil)) {
			t.Error("a value that is no number changed the model")
		}
	}
}

func TestOptions(t *testing.T) {
	good := Options{Confidence: 95, History: 10, Interval: second}
	for name, change := range map[string]func(*Options){
		"confidence 0":   func(o *Options) { o.Confidence = 0 },
		"confidence 101": func(o *Options) { o.Confidence = 101 },
		"confidence NaN": func(o *Options) { o.Confidence = math.NaN() },
		"history 0":      func(o *Options) { o.History = 0 },
		"history 2**30":  func(o *Options) { o.History = 1 << 30 },
		"interval 0":     func(o *Options) { o.Interval = 0 },
	} {
		o := good
		change(&o)
		if _, err := NewSpikeAndDip(o); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := NewChangePoint(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, truncate := range []bool{false, true} {
		good.Confidence, good.Truncate = 94.6, truncate
		want := good.Confidence
		if truncate {
			want = 94
		}
		d, err := NewSpikeAndDip(good)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.options.significance(); got != 1-want/100 {
			t.Errorf("truncate %t: significance %v", truncate, got)
		}
	}
}

func TestModes(t *testing.T) {
	for name, want := range map[string]Mode{
		"spikes": Spikes, "Dips": Dips, "SPIKESANDDIPS": SpikesAndDips, "other": SpikesAndDips,
	} {
		if got := ParseMode(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Only at the beginning of time are there fewer slots than the history is long.
func TestHistoryThatIsNotFull(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, change := range []bool{false, true} {
		for first := range saql.Ticks(8) {
			o := Options{Confidence: 80, History: 10, Interval: second}
			d, l := newDetector(t, o, change), newLiteral(o, change)
			for i := range saql.Ticks(30) {
				x := r.NormFloat64()
				at := (first + i) * second
				if got, want := d.Process(at, x), l.process(at, x); !same(got, want) {
					t.Fatalf("event %d after %d slots: got %+v, want %+v", i, first, got, want)
				}
			}
		}
	}
}
