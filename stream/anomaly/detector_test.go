package anomaly

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/weir-iot/weir/saql"
)

const second saql.Ticks = 10_000_000

// start is 2026-01-01T00:00:00Z.
const start saql.Ticks = 639_028_224_000_000_000

type detector interface {
	Process(saql.Ticks, float64) Result
	Snapshot([]byte) []byte
	Restore([]byte) error
}

var (
	_ detector = (*SpikeAndDip)(nil)
	_ detector = (*ChangePoint)(nil)
)

func newDetector(t testing.TB, o Options, change bool) detector {
	t.Helper()
	var d detector
	var err error
	if change {
		d, err = NewChangePoint(o)
	} else {
		d, err = NewSpikeAndDip(o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newLiteral(o Options, change bool) *literal {
	return &literal{w: o.History, confidence: o.Confidence, mode: o.Mode, interval: o.Interval, change: change}
}

// same tells equality to the last bit.
func same(a, b Result) bool {
	return a.IsAnomaly == b.IsAnomaly && math.Float64bits(a.Score) == math.Float64bits(b.Score)
}

// A signal gives the next value.
type signal func(r *rand.Rand, i int) float64

var signals = map[string]signal{
	"normal":   func(r *rand.Rand, i int) float64 { return r.NormFloat64() },
	"readings": func(r *rand.Rand, i int) float64 { return math.Round(2000+100*r.NormFloat64()) / 100 },
	"ramp":     func(r *rand.Rand, i int) float64 { return 0.1 * float64(i) },
	"sine":     func(r *rand.Rand, i int) float64 { return math.Sin(float64(i) / 5) },
	"two":      func(r *rand.Rand, i int) float64 { return float64(r.IntN(2)) * 0.3 },
	"constant": func(r *rand.Rand, i int) float64 { return 21.7 },
	"steps":    func(r *rand.Rand, i int) float64 { return float64(i/40) / 7 },
	"outliers": func(r *rand.Rand, i int) float64 {
		if r.IntN(20) == 0 {
			return 1e6 * r.NormFloat64()
		}
		return r.NormFloat64()
	},
	"zeros":    func(r *rand.Rand, i int) float64 { return math.Copysign(0, r.Float64()-0.5) },
	"tiny":     func(r *rand.Rand, i int) float64 { return 1e-40 * r.NormFloat64() },
	"huge":     func(r *rand.Rand, i int) float64 { return 1e38 * r.NormFloat64() },
	"infinite": func(r *rand.Rand, i int) float64 { return 1 / float64(r.IntN(9)) },
}

// walk feeds a signal with gaps to the detector and to the literal one.
func walk(t *testing.T, o Options, change bool, next signal, seed uint64, events int) (anomalies int) {
	t.Helper()
	d, l := newDetector(t, o, change), newLiteral(o, change)
	r := rand.New(rand.NewPCG(seed, 1))
	at := start
	for i := range events {
		switch r.IntN(12) {
		case 0: // several in one interval
		case 1:
			at += o.Interval * saql.Ticks(r.IntN(o.History+3))
		case 2:
			at += o.Interval + o.Interval/2
		default:
			at += o.Interval
		}
		x := next(r, i)
		got, want := d.Process(at, x), l.process(at, x)
		if !same(got, want) {
			t.Fatalf("event %d, %v: got %+v, want %+v", i, x, got, want)
		}
		if got.IsAnomaly {
			anomalies++
		}
	}
	return anomalies
}

func TestDetectorsEqualTheLiteralOne(t *testing.T) {
	for name, next := range signals {
		for _, history := range []int{1, 2, 3, 20, 121} {
			for _, change := range []bool{false, true} {
				for i, confidence := range []float64{49, 80, 95, 99.5} {
					o := Options{Confidence: confidence, History: history, Interval: second, Mode: Mode(i % 3)}
					t.Run(fmt.Sprintf("%s/%d/%v/%v", name, history, confidence, change), func(t *testing.T) {
						walk(t, o, change, next, uint64(i), 300)
					})
				}
			}
		}
	}
}

func TestWalksHoldAnomalies(t *testing.T) {
	o := Options{Confidence: 95, History: 20, Interval: second}
	for _, change := range []bool{false, true} {
		if n := walk(t, o, change, signals["outliers"], 1, 1000); n == 0 || n == 1000 {
			t.Errorf("%d of 1000 events are anomalies: the walk tests little", n)
		}
	}
}

// Events are nine bytes each: the slots that pass and the bits of the value.
func FuzzDetectorsEqualTheLiteralOne(f *testing.F) {
	event := func(b []byte, slots byte, x float64) []byte {
		return binary.LittleEndian.AppendUint64(append(b, slots), math.Float64bits(x))
	}
	f.Add(byte(10), event(event(event(nil, 1, 20), 1, 20.5), 7, -3))
	f.Add(byte(3), event(event(event(nil, 1, 1e-300), 0, math.Inf(1)), 2, 1e300))
	f.Fuzz(func(t *testing.T, history byte, events []byte) {
		for _, change := range []bool{false, true} {
			o := Options{Confidence: 80, History: 1 + int(history)%40, Interval: second}
			d, l := newDetector(t, o, change), newLiteral(o, change)
			at := start
			for b := events; len(b) >= 9; b = b[9:] {
				at += second * saql.Ticks(b[0]%64)
				x := math.Float64frombits(binary.LittleEndian.Uint64(b[1:]))
				if math.IsNaN(x) {
					continue
				}
				if got, want := d.Process(at, x), l.process(at, x); !same(got, want) {
					t.Fatalf("%v: got %+v, want %+v", x, got, want)
				}
			}
		}
	})
}
