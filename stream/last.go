package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// A last is LAST(x, default) OVER (… LIMIT DURATION …): x of this row if WHEN
// holds for it, else of the newest before for which it does.
type last struct {
	limit saql.Ticks
	known bool
	past  pastValue
}

func (l *last) next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error) {
	if keep {
		l.known, l.past = true, pastValue{t, args[0].Clone()}
	}
	if !l.known || l.past.at < t-l.limit {
		return args[1], nil
	}
	return l.past.value, nil
}

func (l *last) append(b []byte) []byte {
	b = appendBool(b, l.known)
	b = binary.AppendVarint(b, int64(l.past.at))
	return saql.AppendValue(b, l.past.value)
}

func (l *last) restore(r *reader) { l.known, l.past = r.bool(), pastValue{r.ticks(), r.value()} }

// lastFunction compiles LAST.
func (c *compiler) lastFunction(sc *scope, e *saql.Call) (*overFunction, error) {
	if err := argumentCount(e, 1, 2, "LAST(x) or LAST(x, default)"); err != nil {
		return nil, err
	}
	f, err := c.pastFunction(sc, e, 1)
	if err != nil {
		return nil, err
	}
	limit := f.limit
	f.make = func() memory { return &last{limit: limit} }
	return f, nil
}
