package anomaly

import "math"

// enter adds the squared distances of x from values to sum, one by one.
func enter(sum float64, values []float32, x float32) float64 {
	for _, v := range values {
		d := float64(x) - float64(v)
		sum += float64(d * d)
	}
	return sum
}

// leave takes those of oldest away, rounded to float32.
func leave(sum float64, values []float32, oldest float32) float64 {
	for _, v := range values {
		d := float64(oldest - v)
		sum -= float64(d * d)
	}
	return sum
}

// A move is enter and then leave in one pass, with every rounding as it would be.
//
// Each addition waits for the one before, and leave for enter: that is what a
// move costs. But within one binade all sums have the same unit in the last
// place, and what an addition rounds to depends on nothing else but, in a tie,
// on whether the last bit is even. So leave changes any sum by the same amount
// as one that differs by an even number of units. It starts at once from two
// sums, an even and an odd one, and in the end the right one of them counts.
type move struct {
	from    float64    // the sum before, of the lower of the two
	entered float64    // after enter
	left    [2]float64 // from each of the two: from and its successor, after leave
}

func startMove(sum, first float64) move {
	return move{from: sum, entered: sum + first, left: [2]float64{sum, math.Nextafter(sum, math.Inf(1))}}
}

func (m *move) pass(values []float32, x, oldest float32) {
	entered, left0, left1 := m.entered, m.left[0], m.left[1]
	for _, v := range values {
		d := float64(x) - float64(v)
		entered += float64(d * d)
		e := float64(oldest - v)
		square := float64(e * e)
		left0 -= square
		left1 -= square
	}
	m.entered, m.left = entered, [2]float64{left0, left1}
}

// end returns the sum, or false where sums left the binade that they began in.
func (m *move) end() (float64, bool) {
	from, left := m.from, m.left[0]
	if odd(m.entered) != odd(m.from) {
		from, left = math.Nextafter(m.from, math.Inf(1)), m.left[1]
	}
	binade := math.Float64bits(m.from) >> 52
	for _, f := range [3]float64{m.entered, from, left} {
		if math.Float64bits(f)>>52 != binade {
			return 0, false
		}
	}
	ok := m.from > 0 && !math.IsInf(m.entered, 0)
	return m.entered + (left - from), ok
}

func odd(f float64) bool { return math.Float64bits(f)&1 == 1 }
