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
	far  *field    // for estimates; nil if there are none
}

func newHistory(size int) history { return history{ring: make([]float32, size)} }

// estimable returns a history that estimates, where that is faster.
func estimable(size int) history {
	h := newHistory(size)
	if size >= longHistory {
		h.far = newField(size)
	}
	return h
}

const longHistory = 400

func (h *history) full() bool { return h.n == len(h.ring) }

// parts returns the values from the oldest to the newest.
func (h *history) parts() (older, newer []float32) {
	if !h.full() {
		return h.ring[:h.n], nil
	}
	return h.ring[h.next:], h.ring[:h.next]
}

func (h *history) push(x float32) {
	if h.far != nil && h.full() {
		h.far.replace(h.ring[h.next], x)
	}
	h.ring[h.next] = x
	h.next++
	if h.next == len(h.ring) {
		h.next = 0
	}
	h.n = min(h.n+1, len(h.ring))
}

// score returns the p-value of x and pushes x.
func (h *history) score(x float32) float64 {
	p := h.density(x)
	h.absorb(x)
	return p
}

// absorb pushes x without a score.
func (h *history) absorb(x float32) {
	if h.n > 0 {
		h.move(x)
	}
	h.push(x)
}

// fill makes an empty history as n absorbed copies of x would: the distances
// are all 0, or not a number where x is infinite.
func (h *history) fill(x float32, n int) {
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

// estimate returns a p-value that differs from density's by at most an error
// which it returns, too. The greater part of that is density's own rounding:
// n sums of up to n, divided by 2n.
func (h *history) estimate(x float32) (p, within float64) {
	if h.far == nil || !h.full() {
		return h.density(x), 0
	}
	bandwidth := h.bandwidth()
	older, newer := h.parts()
	if !h.far.fit(bandwidth, older, newer) {
		return h.density(x), 0
	}
	below := h.far.sum(x, bandwidth, older, newer)
	return share(below, h.n), 1e-13 + float64(h.n)*0x1p-53
}

// density returns the p-value of x, the share of values above it.
func (h *history) density(x float32) float64 {
	bandwidth := h.bandwidth()
	older, newer := h.parts()
	below := erfSum(0, older, float64(x), bandwidth)
	below = erfSum(below, newer, float64(x), bandwidth)
	return share(below, h.n)
}

// share returns the p-value of a value, given the sum of erf over the n others.
func share(below float64, n int) float64 {
	if n == 0 {
		return 0.5
	}
	return 0.5 - below/float64(2*n)
}

// move adds the distances of x to the sum. If x is about to take the place of
// the oldest value, it takes those of the oldest away, of which those to values
// in the ring were rounded to float32.
func (h *history) move(x float32) {
	older, newer := h.parts()
	if !h.full() {
		h.sum = enter(h.sum, older, x)
		return
	}
	oldest := older[0]
	first := float64(x) - float64(oldest)
	m := startMove(h.sum, float64(first*first))
	m.pass(older[1:], x, oldest)
	m.pass(newer, x, oldest)
	sum, ok := m.end()
	if !ok {
		sum = leave(m.entered, older[1:], oldest)
		sum = leave(sum, newer, oldest)
	}
	h.sum = sum - float64(first*first)
}
