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
	if square > saturated {
		return math.Copysign(1, z)
	}
	if square != square {
		return square
	}
	return erfNear(z, square)
}

// erfNear is erf of a z whose square is at most saturated.
func erfNear(z, square float64) float64 {
	t := 1 / (1 + float64(erfP*math.Abs(z)))
	p := float64(erfA5*t) + erfA4
	p = float64(p*t) + erfA3
	p = float64(p*t) + erfA2
	p = float64(p*t) + erfA1
	p = 1 - float64(float64(p*t)*expNormal(-square))
	return math.Copysign(p, z)
}
