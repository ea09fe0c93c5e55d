package anomaly

import "math"

// A field gives the sum of erf((x-v)/h) over all values v of a long history
// without a look at each: for any x and h, at the cost of some hundred terms.
//
// It is the far field of the fast multipole method, by interpolation. The line
// is cut into cells. Within a cell erf is so smooth a function of v that twelve
// Chebyshev nodes determine it, so a value counts as twelve weights, one for
// each node. The weights of a cell add up, whatever x and h are to be:
//
//	Σ erf((x-v)/h)  =  Σ over nodes y of weight(y)·erf((x-y)/h)
//
// Weights are integers, so a field has no memory of what left it and equals the
// one that is built from the values anew.
//
// The error, relative to the number of values: interpolation 2e-14, while a
// cell is at most h/2 wide (Cramér bounds the 12th derivative); rounded weights
// 12·√2/scale; all else some 1e-15.
type field struct {
	exponent  int     // cells are 2**exponent wide
	scale     float64 // of the weights
	built     bool    // cells hold the history
	cells     []cell  // cell c is at c modulo their number, a power of two
	low, high int64   // first and last cell in use
}

const (
	nodes    = 12
	maxCells = 1024
)

type cell struct {
	count  int
	weight [nodes]int64
}

func newField(history int) *field {
	bits := math.Ilogb(float64(history)) + 1 // history·√2·scale < 2**63
	return &field{scale: math.Ldexp(1, 62-bits)}
}

// fit makes ready for the bandwidth h: it builds the field of values unless it
// is built and its cells are of a good width. False tells that no field fits.
func (f *field) fit(h float64, older, newer []float32) bool {
	if width := math.Ldexp(1, f.exponent); !(width <= h/2 && width >= h/8) {
		if math.IsNaN(h) || math.IsInf(h, 0) {
			return false
		}
		f.exponent = math.Ilogb(h / 2)
		f.built = false
	}
	return f.built || f.build(older, newer)
}

func (f *field) build(older, newer []float32) bool {
	low, high := int64(math.MaxInt64), int64(math.MinInt64)
	for _, values := range [2][]float32{older, newer} {
		for _, v := range values {
			c, _, ok := f.locate(v)
			if !ok {
				return false
			}
			low, high = min(low, c), max(high, c)
		}
	}
	size := int64(16)
	for size < high-low+1 {
		size *= 2
	}
	if size > maxCells {
		return false
	}
	f.cells, f.low, f.high, f.built = make([]cell, size), low, high, true
	for _, values := range [2][]float32{older, newer} {
		for _, v := range values {
			f.put(v, 1)
		}
	}
	return true
}

// locate returns the cell of v and the place there, -1 to 1.
func (f *field) locate(v float32) (c int64, u float64, ok bool) {
	at := math.Ldexp(float64(v), -f.exponent)
	if !(math.Abs(at) < 1<<50) {
		return 0, 0, false
	}
	floor := math.Floor(at)
	return int64(floor), 2*(at-floor) - 1, true
}

func (f *field) cell(c int64) *cell { return &f.cells[c&int64(len(f.cells)-1)] }

// replace takes the value old out and puts v in.
func (f *field) replace(old, v float32) {
	if !f.built {
		return
	}
	f.put(old, -1)
	for f.low < f.high && f.cell(f.low).count == 0 {
		f.low++
	}
	for f.low < f.high && f.cell(f.high).count == 0 {
		f.high--
	}
	f.put(v, 1)
}

// put adds v, sign times. Where v lies too far out, the field is to be built anew.
func (f *field) put(v float32, sign int64) {
	c, u, ok := f.locate(v)
	low, high := min(f.low, c), max(f.high, c)
	if !ok || high-low >= int64(len(f.cells)) {
		f.built = false
		return
	}
	f.low, f.high = low, high
	cell := f.cell(c)
	cell.count += int(sign)
	for i, b := range basis(u) {
		cell.weight[i] += sign * int64(math.RoundToEven(b*f.scale))
	}
}

// sum returns the sum of erf((x-v)/h).
func (f *field) sum(x float32, h float64, older, newer []float32) float64 {
	own, _, ok := f.locate(x)
	if !ok {
		own = math.MinInt64
	}
	width := math.Ldexp(1, f.exponent)
	reach := width / 2 / h
	sum := 0.0
	for c := f.low; c <= f.high; c++ {
		cell := f.cell(c)
		if cell.count == 0 {
			continue
		}
		z := (float64(x) - width*(float64(c)+0.5)) / h
		switch away := math.Abs(z) - reach; {
		case c == own:
			sum += cell.sum(z, reach, erfAbove) / f.scale
		case away > 0 && away*away > saturated:
			sum += math.Copysign(float64(cell.count), z)
		default:
			sum += cell.sum(z, reach, erf) / f.scale
		}
	}
	if f.low <= own && own <= f.high {
		end := width * float64(own+1)
		sum -= kink(x, end, h, older) + kink(x, end, h, newer)
	}
	return sum
}

// sum returns the scaled sum of the function g over a cell, the centre of which
// is z away from x, in units of h.
func (c *cell) sum(z, reach float64, g func(float64) float64) float64 {
	sum := 0.0
	for i, w := range c.weight {
		sum += g(z-reach*chebyshev.node[i]) * float64(w)
	}
	return sum
}

// erfAbove is what erf is above 0, and below it the same formula: unlike erf, a
// smooth function around 0.
func erfAbove(z float64) float64 {
	t := 1 / (1 + erfP*z)
	return 1 - ((((erfA5*t+erfA4)*t+erfA3)*t+erfA2)*t+erfA1)*t*expNormal(-z*z)
}

// kink returns the sum of erfAbove(z) - erf(z) over the values above x in a cell
// that ends at end. The difference is a smooth function of z², for z from -1/2
// to 0 a polynomial with an error of 2e-14.
func kink(x float32, end, h float64, values []float32) float64 {
	// 0 < d < most, as one comparison of bits.
	most := math.Float64bits(end-float64(x)) - 1
	scale := 1 / (h * h)
	sum := 0.0
	var near [256]float64
	for len(values) > 0 {
		block := values[:min(len(values), len(near))]
		values = values[len(block):]
		n := 0
		for _, v := range block {
			d := float64(v) - float64(x)
			near[n&255] = d
			inside := 0
			if math.Float64bits(d)-1 < most {
				inside = 1
			}
			n += inside
		}
		for _, d := range near[:n] {
			y := d * d * scale
			y2 := y * y
			sum += (2.00002350160308358e-9 - 0.000236485897194548019*y) +
				y2*((-0.00382727741976559247-0.00604493608009860774*y)+
					y2*((-0.000792147964872863439+0.000124676125872803651*y)-0.0000461154593587742819*y2))
		}
	}
	return sum
}

// chebyshev holds the nodes on (-1, 1) and the factors of their basis polynomials.
var chebyshev = newChebyshev()

type chebyshevNodes struct{ node, factor [nodes]float64 }

func newChebyshev() (c chebyshevNodes) {
	for i := range c.node {
		c.node[i] = math.Cos(math.Pi * (float64(i) + 0.5) / nodes)
	}
	for i := range c.factor {
		product := 1.0
		for j := range c.node {
			if j != i {
				product *= c.node[i] - c.node[j]
			}
		}
		c.factor[i] = 1 / product
	}
	return c
}

// basis returns the polynomials at u that are 1 at one node and 0 at the others.
func basis(u float64) (b [nodes]float64) {
	product := 1.0
	for i := range b {
		b[i] = product * chebyshev.factor[i]
		product *= u - chebyshev.node[i]
	}
	product = 1.0
	for i := nodes - 1; i >= 0; i-- {
		b[i] *= product
		product *= u - chebyshev.node[i]
	}
	return b
}
