package stream

import (
	"encoding/binary"
	"errors"

	"github.com/weir-iot/weir/saql"
)

// An Instance is the state of a program for one shard. It belongs to one
// goroutine.
//
// Its output depends on the rows alone, and not on when Advance is called: the
// coming of a row tells that no earlier one comes, and windows that end before
// it give their rows first.
type Instance struct {
	operators []Operator // by place; nil for inputs
	keeping   []Operator // those of Snapshot
	timed     []Timed
	emits     []Emit
	inputs    []Emit
	sink      Sink
	next      saql.Ticks // no operator has anything to give before
	now       saql.Ticks // the time of the row or of the window's end that is being processed
}

// New returns an instance without state. It hands row errors to fail.
func (p *Program) New(fail Failure) *Instance {
	i := &Instance{
		operators: make([]Operator, len(p.nodes)),
		emits:     make([]Emit, len(p.nodes)),
		next:      never,
	}
	for at, n := range p.nodes {
		if n.build != nil {
			i.operators[at] = n.build(fail)
		}
		if n.state != nil {
			i.keeping = append(i.keeping, i.operators[at])
		}
		if t, ok := i.operators[at].(Timed); ok {
			i.timed = append(i.timed, t)
		}
	}
	for at := len(p.nodes) - 1; at >= 0; at-- {
		i.emits[at] = i.emit(p.nodes[at])
	}
	for _, in := range p.inputs {
		i.inputs = append(i.inputs, i.emits[in.node.place])
	}
	return i
}

// emit returns what hands rows of a node to those that take them; theirs is made.
func (i *Instance) emit(n *node) Emit {
	var takers []Emit
	for _, e := range n.to {
		op, next, port := i.operators[e.to.place], i.emits[e.to.place], e.port
		takers = append(takers, func(row *saql.Row) error { return op.Process(port, row, next) })
	}
	for _, out := range n.outputs {
		takers = append(takers, func(row *saql.Row) error { return i.sink(out, row) })
	}
	if len(takers) == 1 {
		return takers[0]
	}
	return func(row *saql.Row) error {
		for _, take := range takers {
			if err := take(row); err != nil {
				return err
			}
		}
		return nil
	}
}

// Process takes a row of an input, as Inputs lists them. Rows of all inputs come
// in the order of (time, partition, seq, index).
func (i *Instance) Process(input int, row *saql.Row, sink Sink) error {
	i.sink = sink
	if row.Time > i.next {
		if err := i.advance(row.Time - 1); err != nil {
			return err
		}
	}
	i.now = row.Time
	if err := i.inputs[input](row); err != nil {
		return err
	}
	i.schedule()
	return nil
}

// Advance tells that no row at or before the watermark comes any more.
func (i *Instance) Advance(watermark saql.Ticks, sink Sink) error {
	i.sink = sink
	return i.advance(watermark)
}

// advance goes from one time at which an operator has something to give to the
// next, so that all operators see all rows in the order of time.
func (i *Instance) advance(watermark saql.Ticks) error {
	for i.next <= watermark {
		now := i.next
		i.now = now
		for at, op := range i.operators {
			if op == nil {
				continue
			}
			if err := op.Advance(now, i.emits[at]); err != nil {
				return err
			}
		}
		i.schedule()
	}
	return nil
}

func (i *Instance) schedule() {
	i.next = never
	for _, t := range i.timed {
		i.next = min(i.next, t.Next())
	}
}

var errState = errors.New("stream: the state is damaged, or of another program")

// Snapshot appends the state to b; equal states give equal bytes.
func (i *Instance) Snapshot(b []byte) []byte {
	var part []byte
	for _, op := range i.keeping {
		part = op.Snapshot(part[:0])
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

// Restore replaces the state by one that an instance gave whose program has the
// same Fingerprint.
func (i *Instance) Restore(b []byte) error {
	for _, op := range i.keeping {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > uint64(len(b)-width) {
			return errState
		}
		b = b[width:]
		if err := op.Restore(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	if len(b) > 0 {
		return errState
	}
	i.schedule()
	return nil
}
