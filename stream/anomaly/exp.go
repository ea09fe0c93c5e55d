package anomaly

import (
	"math"
	"math/big"
)

// exp returns e**x with an error below 0.52 units in the last place, so that it
// nearly always is the nearest float64, as it is in the C libraries that .NET
// calls. math.Exp is not: its assembly differs by up to 1 unit, and from one
// processor to the next.
//
// With x = (128k+j)·ln2/128 + r and |r| ≤ ln2/256, e**x = 2**k · 2**(j/128) · e**r:
// a shift, a table and a polynomial.
func exp(x float64) float64 {
	if !(x > -700 && x < 700) {
		return math.Exp(x)
	}
	return expNormal(x)
}

const (
	expSteps = 128
	// Added to a small number, expShift rounds it to an integer that is then in
	// the low bits of the sum.
	expShift = 0x1.8p52
	stepsLn2 = expSteps / math.Ln2
	// ln2/128 in two parts, the first with 20 trailing zeros: steps·ln2High is exact.
	ln2High = 0x1.62e42fef00000p-8
	ln2Low  = 0x1.473de6af278edp-41
)

// expNormal is exp where neither x nor the result is special: -700 < x < 700.
// Like what it calls, it is small enough to be compiled in place.
func expNormal(x float64) float64 {
	r, k := expReduce(x)
	return expScale(expTail(r, &roots[k%expSteps]), k)
}

// expReduce returns the remainder r, and 128k+j in the low bits.
func expReduce(x float64) (r float64, k uint64) {
	shifted := float64(x*stepsLn2) + expShift
	steps := shifted - expShift
	r = x - float64(steps*ln2High)
	r -= float64(steps * ln2Low)
	return r, math.Float64bits(shifted)
}

// expTail returns e**r - 1, and what the root lacks.
func expTail(r float64, from *root) float64 {
	r2 := float64(r * r)
	tail := from.rest + r
	tail += float64(r2 * (0.5 + float64(r*(1.0/6))))
	tail += float64(float64(r2*r2) * (1.0/24 + float64(r*(1.0/120))))
	return tail
}

func expScale(tail float64, k uint64) float64 {
	scale := math.Float64frombits(roots[k%expSteps].bits + k/expSteps<<52)
	return scale + float64(scale*tail)
}

// A root is 2**(j/128): the nearest float64, and what it lacks relative to it.
type root struct {
	bits uint64
	rest float64
}

var roots = newRoots()

func newRoots() (t [expSteps]root) {
	const precision = 160
	step := big.NewFloat(2).SetPrec(precision)
	for range 7 { // 2**7 = expSteps
		step.Sqrt(step)
	}
	exact := big.NewFloat(1).SetPrec(precision)
	for j := range t {
		near, _ := exact.Float64()
		rest := new(big.Float).Sub(exact, big.NewFloat(near))
		relative, _ := rest.Quo(rest, big.NewFloat(near)).Float64()
		t[j] = root{math.Float64bits(near), relative}
		exact.Mul(exact, step)
	}
	return t
}
