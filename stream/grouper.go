package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// A grouper finds the group of a row and makes the rows of groups; the windows
// decide what a group holds. It belongs to one operator of one instance.
type grouper struct {
	keys  []*operand
	calls []*aggregateCall
	large bool // an aggregate grows with the number of rows
	fail  Failure

	index map[string]*group
	free  []bundle

	prefix  []byte // of all keys
	key     []byte
	args    []saql.Value // of all calls, in a row
	scratch bundle
	row     saql.Row // the one that is given
}

// A group is what has equal keys.
type group struct {
	key    string
	values []saql.Value
	panes  panes
	// waits is for sliding windows: the group is among those that changed.
	waits bool
}

// A bundle is the aggregates over some rows of a group.
type bundle struct {
	aggregates []aggregate
	broken     bool     // one has failed, and that was told
	last       saql.Key // of the rows
}

func newGrouper(g *grouping, w saql.Window, fail Failure) *grouper {
	gr := &grouper{keys: g.keys, calls: g.calls, fail: fail, index: make(map[string]*group)}
	args := 0
	for _, call := range g.calls {
		args += len(call.args)
		gr.large = gr.large || call.large
	}
	gr.args = make([]saql.Value, args)
	gr.row.Values = make([]saql.Value, len(g.keys)+len(g.calls)+1)
	id := saql.Null
	if w.ID != "" {
		id = saql.String(w.ID)
	}
	gr.row.Values[len(gr.row.Values)-1] = saql.RecordValue(&saql.Record{Fields: []saql.Field{{Name: "Id", Value: id}}})
	gr.scratch = gr.bundle()
	return gr
}

// bundle returns one without rows.
func (gr *grouper) bundle() bundle {
	if n := len(gr.free); n > 0 {
		b := gr.free[n-1]
		gr.free = gr.free[:n-1]
		return b
	}
	b := bundle{aggregates: make([]aggregate, len(gr.calls))}
	for i, call := range gr.calls {
		b.aggregates[i] = call.make()
	}
	return b
}

// release takes a bundle back that nobody uses any more.
func (gr *grouper) release(b bundle) {
	b.reset()
	gr.free = append(gr.free, b)
}

// read evaluates keys and arguments of a row and returns its group. The group is
// nil where that fails; then the row is told and counts for nothing.
func (gr *grouper) read(row *saql.Row) (*group, error) {
	i := 0
	for _, call := range gr.calls {
		for _, arg := range call.args {
			v, err := arg.eval(row)
			if err != nil {
				return nil, failed(gr.fail, err, row.Key)
			}
			gr.args[i] = v
			i++
		}
	}
	gr.key = append(gr.key[:0], gr.prefix...)
	for _, key := range gr.keys {
		v, err := key.eval(row)
		if err != nil {
			return nil, failed(gr.fail, err, row.Key)
		}
		gr.key = saql.AppendKey(gr.key, v)
	}
	if g, ok := gr.index[string(gr.key)]; ok {
		return g, nil
	}
	g := &group{key: string(gr.key), values: make([]saql.Value, len(gr.keys))}
	for i, key := range gr.keys {
		v, err := key.eval(row)
		if err != nil {
			return nil, failed(gr.fail, err, row.Key)
		}
		g.values[i] = v.Clone()
	}
	gr.index[g.key] = g
	return g, nil
}

// add adds the row that was read to a bundle. What fails breaks the bundle.
func (gr *grouper) add(b *bundle, row *saql.Row) error {
	b.last = row.Key
	if b.broken {
		return nil
	}
	i := 0
	for n, a := range b.aggregates {
		args := gr.args[i : i+len(gr.calls[n].args)]
		i += len(args)
		if err := a.add(args); err != nil {
			b.broken = true
			return failed(gr.fail, at(gr.calls[n].at, err), row.Key)
		}
	}
	return nil
}

// give makes the row of a group of what a bundle holds.
func (gr *grouper) give(g *group, b *bundle, time saql.Ticks, emit Emit) error {
	if b.broken {
		return nil
	}
	copy(gr.row.Values, g.values)
	for i, a := range b.aggregates {
		v, err := a.result()
		if err != nil {
			return failed(gr.fail, at(gr.calls[i].at, err), b.last)
		}
		gr.row.Values[len(g.values)+i] = v
	}
	gr.row.Time, gr.row.Key = time, b.last
	return emit(&gr.row)
}

func (b *bundle) reset() {
	for _, a := range b.aggregates {
		a.reset()
	}
	b.broken, b.last = false, saql.Key{}
}

// merge adds the rows of a later bundle.
func (gr *grouper) merge(b, later *bundle) error {
	b.last = later.last
	if b.broken = b.broken || later.broken; b.broken {
		return nil
	}
	for i, a := range b.aggregates {
		if err := a.merge(later.aggregates[i]); err != nil {
			b.broken = true
			return failed(gr.fail, at(gr.calls[i].at, err), later.last)
		}
	}
	return nil
}

func (b *bundle) snapshot(to []byte) []byte {
	to = appendKey(appendBool(to, b.broken), b.last)
	for _, a := range b.aggregates {
		to = a.snapshot(to)
	}
	return to
}

func (b *bundle) restore(r *reader) {
	b.broken, b.last = r.bool(), r.key()
	for _, a := range b.aggregates {
		if r.err != nil {
			return
		}
		rest, err := a.restore(r.b)
		if err != nil {
			r.fail()
			return
		}
		r.b = rest
	}
}

// appendGroups appends groups; readGroups reads them.
func appendGroups(b []byte, groups []*group) []byte {
	b = binary.AppendUvarint(b, uint64(len(groups)))
	for _, g := range groups {
		b = appendText(b, g.key)
		b = appendValues(b, g.values)
		b = g.panes.snapshot(b)
	}
	return b
}

func (gr *grouper) readGroups(r *reader) []*group {
	clear(gr.index)
	var groups []*group
	for range r.count() {
		g := &group{key: r.text(), values: make([]saql.Value, len(gr.keys))}
		r.values(g.values)
		g.panes.restore(gr, r)
		groups = append(groups, g)
		gr.index[g.key] = g
	}
	return groups
}
