package anomaly

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// Of a long history, alerts are those of the literal detector, the sum of
// distances is to the bit, and scores are within 1e-9, as promised, and better.
func TestLongHistoryEqualsTheLiteralOne(t *testing.T) {
	for name, next := range signals {
		t.Run(name, func(t *testing.T) {
			for i, confidence := range []float64{80, 95, 99.9} {
				longWalk(t, Options{Confidence: confidence, History: 500 + 300*i, Interval: second, Mode: Mode(i)}, next)
			}
		})
	}
}

func longWalk(t *testing.T, o Options, next signal) {
	t.Helper()
	d, err := NewSpikeAndDip(o)
	if err != nil {
		t.Fatal(err)
	}
	l := newLiteral(o, false)
	r := rand.New(rand.NewPCG(7, 8))
	at := start
	for i := range 4 * o.History {
		at += o.Interval
		if r.IntN(500) == 0 {
			at += o.Interval * saql.Ticks(r.IntN(40))
		}
		x := next(r, i)
		got, want := d.Process(at, x), l.process(at, x)
		if got.IsAnomaly != want.IsAnomaly || !near(got.Score, want.Score) {
			t.Fatalf("event %d, %v: got %+v, want %+v", i, x, got, want)
		}
		if math.Float64bits(d.history.sum) != math.Float64bits(l.distances) {
			t.Fatalf("event %d: distances %v, want %v", i, d.history.sum, l.distances)
		}
	}
}

func near(got, want float64) bool { return math.Abs(got-want) <= 2e-12*want }

// Where the p-value is the very line between anomalies and others, the exact
// one decides.
func TestEstimateNearTheLineIsNotTrusted(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	h := estimable(longHistory)
	for range h.ring {
		h.absorb(narrow(r.NormFloat64()))
	}
	anomalies := 0
	for range 200 {
		x := narrow(2 + r.NormFloat64()/4)
		p := h.density(x)
		o := Options{Confidence: 100 * (1 - p), History: longHistory, Interval: second, Mode: Spikes}
		d, err := NewSpikeAndDip(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range h.ring {
			d.history.push(v)
		}
		d.history.sum = h.sum
		want := p <= o.significance()
		if got := d.observe(x); got.IsAnomaly != want {
			t.Fatalf("%v: anomaly %t, want %t", x, got.IsAnomaly, want)
		}
		if want {
			anomalies++
		}
	}
	if anomalies < 20 || anomalies > 180 {
		t.Errorf("%d of 200 are anomalies: the line is not hit", anomalies)
	}
}

func TestEstimateKeepsItsBound(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	worst, estimates := 0.0, 0
	for range 60 {
		h := estimable(longHistory + r.IntN(3000))
		center, spread := 100*r.NormFloat64(), math.Exp(6*r.NormFloat64())
		value := func() float32 {
			v := r.NormFloat64()
			if r.IntN(3) == 0 {
				v = math.Trunc(v)
			}
			return narrow(center + spread*v)
		}
		for range h.ring {
			h.absorb(value())
		}
		for range 50 {
			x := value()
			p, within := h.estimate(x)
			off := math.Abs(p - h.density(x))
			if off > within {
				t.Fatalf("history %d, %v: off by %v, more than %v", h.n, x, off, within)
			}
			if within > 0 {
				estimates++
			}
			worst = max(worst, off)
			h.absorb(x)
		}
	}
	if estimates < 2000 {
		t.Errorf("%d estimates test little", estimates)
	}
	t.Logf("%v", worst)
}

// A field that values went through is the one that is built from what is left.
func TestFieldRemembersNothing(t *testing.T) {
	h := estimable(longHistory)
	r := rand.New(rand.NewPCG(11, 12))
	for i := range 3 * longHistory {
		x := narrow(r.NormFloat64() + float64(i)/100)
		h.estimate(x)
		h.absorb(x)
	}
	older, newer := h.parts()
	h.far.fit(h.bandwidth(), older, newer)
	anew := newField(longHistory)
	anew.exponent = h.far.exponent
	anew.cells = make([]cell, len(h.far.cells))
	anew.low, anew.high, anew.built = h.far.low, h.far.high, true
	for _, v := range h.ring {
		anew.put(v, 1)
	}
	if !reflect.DeepEqual(anew, h.far) {
		t.Errorf("got %+v\nwant %+v", h.far, anew)
	}
}

func TestMoveRoundsAsOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	passes := 0
	for range 20_000 {
		sum := math.Ldexp(1+r.Float64(), r.IntN(12))
		values := make([]float32, 1+r.IntN(6))
		// Few bits: ties are frequent.
		scale := math.Ldexp(1, -24-r.IntN(4))
		value := func() float32 { return float32(scale * float64(r.IntN(64))) }
		for i := range values {
			values[i] = value()
		}
		x, oldest := value(), value()
		first := float64(x) - float64(oldest)
		m := startMove(sum, first*first)
		m.pass(values, x, oldest)
		got, ok := m.end()
		if !ok {
			continue
		}
		passes++
		want := sum + first*first
		want = leave(enter(want, values, x), values, oldest)
		if got != want {
			t.Fatalf("sum %x, %v, %v, %v: got %x, want %x", sum, values, x, oldest, got, want)
		}
	}
	if passes < 10_000 {
		t.Errorf("%d passes test little", passes)
	}
}
