package anomaly

import "math"

// The error function as ML.NET has it: Abramowitz and Stegun 7.1.26, right to
// 1.5e-7, and not odd: erf(0) is 1e-9.
const (
	erfP  = 0.3275911
	erfA1 = 0.254829592
	erfA2 = -0.284496736
	erfA3 = 1.421413741
	erfA4 = -1.453152027
	erfA5 = 1.061405429
)

// saturated is where erf is 1 in float64: for z² above it, erfc(z) < e**-z² < 2**-54.
const saturated = 37.5

// erf returns erf(z), to the bit what the formula gives when each operation is
// rounded on its own.
func erf(z float64) float64 {
	square := float64(z * z)
	if !(square <= saturated) {
		return erfFar(z)
	}
	t := 1 / (1 + float64(erfP*math.Abs(z)))
	return math.Copysign(1-float64(erfFactor(t)*expNormal(-square)), z)
}

// erfFar is erf of a z that is saturated or not a number.
func erfFar(z float64) float64 {
	if z != z {
		return z
	}
	return math.Copysign(1, z)
}

// erfFactor returns erfc(z)·e**z² with t = 1/(1+p|z|).
func erfFactor(t float64) float64 {
	f := float64(erfA5*t) + erfA4
	f = float64(f*t) + erfA3
	f = float64(f*t) + erfA2
	f = float64(f*t) + erfA1
	return f * t
}

// erfSum adds erf((x-v)/h) to sum for each of values, one by one. It is erf with
// all in place: what a detector's time goes into.
func erfSum(sum float64, values []float32, x, h float64) float64 {
	for _, v := range values {
		z := (x - float64(v)) / h
		square := float64(z * z)
		if !(square <= saturated) {
			sum += erfFar(z)
			continue
		}
		t := 1 / (1 + float64(erfP*math.Abs(z)))
		r, k := expReduce(-square)
		e := expScale(expTail(r, &roots[k%expSteps]), k)
		sum += math.Copysign(1-float64(erfFactor(t)*e), z)
	}
	return sum
}
