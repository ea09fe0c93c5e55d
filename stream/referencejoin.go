package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
)

// A ReferenceTable is data that a stream is joined with.
type ReferenceTable interface {
	// At returns the rows as they are at a time; the same slice while they do not
	// change. What it returns for a time decides what a replay gives.
	At(t saql.Ticks) []*saql.Record
}

// A reference is reference data as JOIN reads it: a table behind the steps of
// WITH that select from it.
type reference struct {
	table   ReferenceTable
	steps   []*referenceStep
	columns *projection // what the last step gives; nil: anything
}

// reference returns what a source is that is reference data, nil if it is none.
func (c *compiler) reference(s saql.Source) *reference {
	key := strings.ToLower(s.Name.Text)
	if _, isStep := c.steps[key]; isStep || s.Query != nil {
		return nil
	}
	if r := c.references[key]; r != nil {
		return r
	}
	_, declared, err := c.input(s.Name)
	if err != nil || declared.Reference == nil {
		return nil // an error is reported as that of a stream
	}
	return &reference{table: declared.Reference}
}

// A tableRelation is reference data: each of its rows is one value, the record.
type tableRelation struct {
	name    string
	columns *projection
}

func (r tableRelation) has(name string) presence {
	if r.columns == nil {
		return possible
	}
	return r.columns.has(name)
}

func (tableRelation) column(path []saql.Name) ref { return ref{}.in(path) }
func (r tableRelation) star() []starColumn {
	return []starColumn{{saql.SchemaColumn{Name: r.name, Spread: true}, ref{}}}
}

// referenceJoin compiles a JOIN with reference data. Keys find the rows of the
// table; without any, each row of the stream is compared with all of them.
func (c *compiler) referenceJoin(sc *scope, left *node, j *saql.Join, table *reference, calls []*saql.Call) (*scope, *node, error) {
	if len(calls) > 0 {
		return nil, nil, saql.Errorf(calls[0].At, "%s of reference data, which has no time", calls[0].Name)
	}
	if err := c.onlyInputs(j.Source); err != nil {
		return nil, nil, err
	}
	name := entryName(saql.From{Source: j.Source}, 0)
	if sc.source(name) != nil {
		return nil, nil, sameAlias(j.Source)
	}
	right := &scope{sources: []source{{name: name, rel: tableRelation{name, table.columns}}}}
	l := &layout{}
	joined := sc.through(l, 0)
	joined.sources = append(joined.sources, right.through(l, 1).sources...)
	on, err := c.on(sc, right, joined, j)
	if err != nil {
		return nil, nil, err
	}
	if len(on.bounds.list) > 0 {
		return nil, nil, saql.Errorf(j.On.Pos(), "DATEDIFF of reference data, which has no time")
	}
	n := &node{text: "join reference data " + j.Source.Name.Text + " on " + saql.ExprString(j.On), perPartition: true}
	n.build = func(fail Failure) Operator { return newReferenceJoin(on, table, j.Left, l, fail) }
	return joined, c.add(n, left), nil
}

// A referenceJoiner joins rows of a stream with those of a table as they are at
// the time of the row. Its rows hold what the layout copies.
type referenceJoiner struct {
	stateless
	on     *onClause
	data   *reference
	outer  bool
	layout *layout
	fail   Failure

	version []*saql.Record
	index   map[string][]tableRow // of version, by keys
	key     []byte
	row     saql.Row // the one that is given
}

// A tableRow is what a layout copies of a row of a table.
type tableRow []saql.Value

func newReferenceJoin(on *onClause, data *reference, outer bool, l *layout, fail Failure) *referenceJoiner {
	return &referenceJoiner{
		on: on, data: data, outer: outer, layout: l, fail: fail,
		row: saql.Row{Values: make([]saql.Value, l.width())},
	}
}

func (o *referenceJoiner) Process(_ int, row *saql.Row, emit Emit) error {
	o.load(o.data.table.At(row.Time))
	hasKey, err := o.keyOf(o.on.left, row)
	if err != nil {
		return failed(o.fail, err, row.Key)
	}
	o.layout.fill(o.row.Values, 0, row)
	o.row.Time, o.row.Key = row.Time, row.Key
	matched := false
	if hasKey {
		if matched, err = o.match(o.index[string(o.key)], emit); err != nil {
			return err
		}
	}
	if matched || !o.outer {
		return nil
	}
	o.put(nil)
	return emit(&o.row)
}

// match gives the pairs of the row with rows of the table, and reports whether
// there are any.
func (o *referenceJoiner) match(rows []tableRow, emit Emit) (matched bool, err error) {
	for _, right := range rows {
		o.put(right)
		if o.on.rest != nil {
			ok, err := selected(o.on.rest, &o.row)
			if err != nil {
				if err := failed(o.fail, err, o.row.Key); err != nil {
					return matched, err
				}
			}
			if !ok {
				continue
			}
		}
		matched = true
		if err := emit(&o.row); err != nil {
			return matched, err
		}
	}
	return matched, nil
}

// put sets the values of the right side; those of nil are NULL.
func (o *referenceJoiner) put(right tableRow) {
	next := 0
	for i, p := range o.layout.from {
		if p.port == 0 {
			continue
		}
		v := saql.Null
		if right != nil {
			v = right[next]
		}
		o.row.Values[o.layout.computed+i] = v
		next++
	}
}

// load indexes a version of the table, unless it is the one that is indexed.
func (o *referenceJoiner) load(version []*saql.Record) {
	if o.index != nil && sameVersion(version, o.version) {
		return
	}
	o.version, o.index = version, make(map[string][]tableRow, len(version))
	for _, rec := range version {
		row := saql.Row{Values: []saql.Value{saql.RecordValue(rec)}}
		if !o.data.selects(&row) {
			continue
		}
		hasKey, err := o.keyOf(o.on.right, &row)
		if err != nil || !hasKey {
			continue // a key that cannot be computed equals nothing
		}
		right := tableRow{}
		for _, p := range o.layout.from {
			if p.port == 1 {
				right = append(right, p.ref.value(&row))
			}
		}
		o.index[string(o.key)] = append(o.index[string(o.key)], right)
	}
}

// keyOf sets o.key to the keys of a row and reports whether none is NULL.
func (o *referenceJoiner) keyOf(keys []evaluator, row *saql.Row) (hasKey bool, err error) {
	o.key, hasKey, err = appendJoinKeys(o.key[:0], keys, row)
	return hasKey, err
}

// sameVersion reports that two slices are one.
func sameVersion(a, b []*saql.Record) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
