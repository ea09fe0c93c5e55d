package anomaly

import "math"

// A history is the last values of a key and the sum of their squared distances:
// the kernel density estimate that both detectors score with. The order of its
// operations is ML.NET's, since their rounding shows: after a constant signal
// the sum may be slightly negative, and the p-value not a number.
type history struct {
	ring []float32 // of full length
	next int       // where the next value goes; the oldest is there once the ring is full
	n    int       // values in the ring
	sum  float64   // of (a-b)² over all pairs, as it was rounded on the way
}

func newHistory(size int) history { return history{ring: make([]float32, size)} }

func (h *history) full() bool { return h.n == len(h.ring) }

// parts returns the values from the oldest to the newest.
func (h *history) parts() (older, newer []float32) {
	if !h.full() {
		return h.ring[:h.n], nil
	}
	return h.ring[h.next:], h.ring[:h.next]
}

func (h *history) push(x float32) {
	h.ring[h.next] = x
	h.next++
	if h.next == len(h.ring) {
		h.next = 0
	}
	h.n = min(h.n+1, len(h.ring))
}

// score returns the p-value of x, the share of values above it, and pushes x.
func (h *history) score(x float32) float64 {
	x += 0 // -0 becomes 0: no distance is -0
	p := 0.5
	if h.n > 0 {
		p = h.density(x)
		h.leave(x)
	}
	h.push(x)
	return p
}

// absorb pushes x without a score.
func (h *history) absorb(x float32) {
	x += 0
	older, newer := h.parts()
	for _, values := range [2][]float32{older, newer} {
		for _, v := range values {
			d := float64(x) - float64(v)
			h.sum += float64(d * d)
		}
	}
	if h.n > 0 {
		h.leave(x)
	}
	h.push(x)
}

// fill makes an empty history as n absorbed copies of x would: the distances
// are all 0, or not a number where x is infinite.
func (h *history) fill(x float32, n int) {
	x += 0
	for range n {
		h.push(x)
	}
	if n > 1 {
		h.sum = float64(x - x)
	}
}

// bandwidth of the kernel, times the square root of two.
func (h *history) bandwidth() float64 {
	b := 1.0
	if h.n > 1 {
		b = math.Sqrt(h.sum) / float64(h.n)
	}
	return max(float64(math.Sqrt2*b), 1e-6)
}

// density returns the p-value of x and adds its distances to the sum.
func (h *history) density(x float32) float64 {
	bandwidth := h.bandwidth()
	older, newer := h.parts()
	below, sum := 0.0, h.sum
	for _, values := range [2][]float32{older, newer} {
		for _, v := range values {
			d := float64(x) - float64(v)
			below += erf(d / bandwidth)
			sum += float64(d * d)
		}
	}
	h.sum = sum
	return 0.5 - below/float64(2*h.n)
}

// leave takes the distances of the oldest value from the sum, if x is about to
// take its place. Those to the values in the ring were rounded to float32.
func (h *history) leave(x float32) {
	if !h.full() {
		return
	}
	older, newer := h.parts()
	oldest, sum := older[0], h.sum
	for _, values := range [2][]float32{older[1:], newer} {
		for _, v := range values {
			d := float64(oldest - v)
			sum -= float64(d * d)
		}
	}
	d := float64(oldest) - float64(x)
	h.sum = sum - float64(d*d)
}
