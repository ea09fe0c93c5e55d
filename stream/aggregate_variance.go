package stream

import (
	"encoding/binary"
	"math"

	"github.com/weir-iot/weir/saql"
)

// variance is VAR, VARP, STDEV and STDEVP: the algorithm of Welford, and that
// of Chan to merge, which lose no digits where values are close to each other.
type variance struct {
	root, population bool

	n       int64
	mean    float64
	squares float64 // of the distances from the mean
}

func (a *variance) add(args []saql.Value) error {
	if args[0].IsNull() {
		return nil
	}
	x := number(args[0])
	a.n++
	d := x - a.mean
	a.mean += d / float64(a.n)
	a.squares += d * (x - a.mean)
	return nil
}

func (a *variance) merge(later aggregate) error {
	l := later.(*variance)
	if l.n == 0 {
		return nil
	}
	n, d := a.n+l.n, l.mean-a.mean
	a.squares += l.squares + d*d*float64(a.n)*float64(l.n)/float64(n)
	a.mean += d * float64(l.n) / float64(n)
	a.n = n
	return nil
}

// result is NULL of nothing, and of one value unless it is a whole population.
func (a *variance) result() (saql.Value, error) {
	by := a.n - 1
	if a.population {
		by = a.n
	}
	if by <= 0 {
		return saql.Null, nil
	}
	v := a.squares / float64(by)
	if a.root {
		v = math.Sqrt(v)
	}
	return saql.Float(v), nil
}

func (a *variance) reset() { a.n, a.mean, a.squares = 0, 0, 0 }

func (a *variance) snapshot(b []byte) []byte {
	return appendFloat(appendFloat(binary.AppendVarint(b, a.n), a.mean), a.squares)
}

func (a *variance) restore(b []byte) ([]byte, error) {
	r := reader{b: b}
	a.n, a.mean, a.squares = r.varint(), r.float(), r.float()
	return r.b, r.err
}
