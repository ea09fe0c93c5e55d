package anomaly

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// exact returns e**x to 200 bits.
func exact(x float64) *big.Float {
	const precision, halvings = 200, 20
	r := new(big.Float).SetPrec(precision).SetFloat64(x)
	r.SetMantExp(r, -halvings)
	sum, term := big.NewFloat(1).SetPrec(precision), big.NewFloat(1).SetPrec(precision)
	for i := 1; i < 30; i++ {
		term.Mul(term, r)
		term.Quo(term, big.NewFloat(float64(i)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

func TestExpIsNearlyTheNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	worst := 0.0
	for i := range 20_000 {
		x := -40 * r.Float64()
		if i%4 == 0 {
			x = 1400 * (r.Float64() - 0.5)
		}
		got := exp(x)
		want := exact(x)
		off, _ := want.Sub(want, big.NewFloat(got)).Float64()
		worst = max(worst, math.Abs(off)/(math.Nextafter(got, math.Inf(1))-got))
	}
	if worst > 0.52 {
		t.Errorf("exp is off by %.3f units in the last place", worst)
	}
	t.Logf("%.4f units in the last place", worst)
}

func TestExpOfSpecialValues(t *testing.T) {
	for _, x := range []float64{0, math.Inf(1), math.Inf(-1), 720, -745, -800, 1e300} {
		if got, want := exp(x), math.Exp(x); got != want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if !math.IsNaN(exp(math.NaN())) {
		t.Error("exp(NaN) is a number")
	}
}

func TestErfSaturates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		z := 14 * (r.Float64() - 0.5)
		if got, want := erf(z), abramowitzStegun(z); got != want {
			t.Fatalf("erf(%v) = %v, want %v", z, got, want)
		}
	}
	for _, z := range []float64{0, math.Inf(1), math.Inf(-1), math.Sqrt(saturated), -1e300} {
		if got, want := erf(z), abramowitzStegun(z); got != want {
			t.Errorf("erf(%v) = %v, want %v", z, got, want)
		}
	}
}
