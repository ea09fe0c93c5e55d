package stream

import (
	"fmt"

	"github.com/weir-iot/weir/saql"
)

// An elements is the relation of APPLY … AS name: one column, a record of the
// index or name of the element and of its value.
type elements struct {
	name   string
	fields [2]string // of the record
	whole  *bool     // somebody reads the record itself
}

// The slots that an applying operator adds in front of its rows.
const (
	elementKey = iota
	elementValue
	elementRecord
	elementSlots
)

func (r elements) has(name string) presence {
	if sameName(name, r.name) {
		return present
	}
	return absent
}

func (r elements) column(path []saql.Name) ref {
	if len(path) > 1 {
		for slot, field := range r.fields {
			if sameName(path[1].Text, field) {
				return ref{slot: slot}.in(path[2:])
			}
		}
	}
	*r.whole = true
	return ref{slot: elementRecord}.in(path[1:])
}

func (r elements) star() []starColumn {
	*r.whole = true
	return []starColumn{{saql.SchemaColumn{Name: r.name}, ref{slot: elementRecord}}}
}

// apply compiles one CROSS or OUTER APPLY behind what stands left of it.
func (c *compiler) apply(sc *scope, left *node, a *saql.Apply) (*scope, *node, error) {
	list, err := listOf(a.Call)
	if err != nil {
		return nil, nil, err
	}
	if len(a.Call.Args) != 1 || a.Call.Star || a.Call.Distinct || a.Call.Over != nil {
		return nil, nil, saql.Errorf(a.Call.At, "%s takes one column", a.Call.Name)
	}
	arg, err := c.expr(sc, a.Call.Args[0])
	if err != nil {
		return nil, nil, err
	}
	rel := elements{a.Alias.Text, list.fields, new(bool)}
	l := &layout{computed: elementSlots}
	applied := sc.through(l, 0)
	applied.sources = append(applied.sources, source{rel: rel})
	n := &node{text: "apply " + saql.ExprString(a.Call), perPartition: true}
	n.build = func(fail Failure) Operator {
		return &unfold{
			list: list, arg: arg.eval, at: a.Call.At, outer: a.Outer, whole: *rel.whole, layout: l, fail: fail,
			row:    saql.Row{Values: make([]saql.Value, l.width())},
			record: saql.Record{Fields: []saql.Field{{Name: list.fields[0]}, {Name: list.fields[1]}}},
		}
	}
	return applied, c.add(n, left), nil
}

// A listing is a function that APPLY calls.
type listing struct {
	kind    saql.Kind // of its argument
	fields  [2]string // of the record that it gives for each element
	length  func(saql.Value) int
	element func(v saql.Value, i int) (key, value saql.Value)
}

func listOf(call *saql.Call) (*listing, error) {
	switch {
	case sameName(call.Name, "GetArrayElements"):
		return &listing{
			saql.KindArray, [2]string{"ArrayIndex", "ArrayValue"},
			func(v saql.Value) int { return len(v.Array()) },
			func(v saql.Value, i int) (saql.Value, saql.Value) { return saql.Bigint(int64(i)), v.Array()[i] },
		}, nil
	case sameName(call.Name, "GetRecordProperties"):
		return &listing{
			saql.KindRecord, [2]string{"PropertyName", "PropertyValue"},
			func(v saql.Value) int { return len(v.Record().Fields) },
			func(v saql.Value, i int) (saql.Value, saql.Value) {
				f := &v.Record().Fields[i]
				return saql.String(f.Name), f.Value
			},
		}, nil
	}
	err := saql.Errorf(call.At, "unknown function %s of APPLY", call.Name)
	err.Hint = "it is GetArrayElements or GetRecordProperties"
	return nil, err
}

// An unfold gives a row per element of an array or a record: the row that it
// takes, with the element in front. An outer one gives a row with NULL where
// there are none.
type unfold struct {
	stateless
	list   *listing
	arg    evaluator
	at     saql.Pos
	outer  bool
	whole  bool
	layout *layout
	fail   Failure
	row    saql.Row // the one that is given
	record saql.Record
}

func (o *unfold) Process(_ int, row *saql.Row, emit Emit) error {
	v, err := o.arg(row)
	if err == nil && !v.IsNull() && v.Kind() != o.list.kind {
		err = fmt.Errorf("APPLY lists the elements of '%s', not of '%s'", o.list.kind, v.Kind())
	}
	if err != nil {
		return failed(o.fail, at(o.at, err), row.Key)
	}
	n := 0
	if !v.IsNull() {
		n = o.list.length(v)
	}
	if n == 0 && !o.outer {
		return nil
	}
	o.layout.fill(o.row.Values, 0, row)
	o.row.Time, o.row.Key = row.Time, row.Key
	if n == 0 {
		clear(o.row.Values[:elementSlots])
		return emit(&o.row)
	}
	for i := range n {
		o.put(v, i)
		if err := emit(&o.row); err != nil {
			return err
		}
	}
	return nil
}

// put sets the values of element i.
func (o *unfold) put(v saql.Value, i int) {
	key, value := o.list.element(v, i)
	o.row.Values[elementKey], o.row.Values[elementValue] = key, value
	if !o.whole {
		return
	}
	o.record.Fields[0].Value, o.record.Fields[1].Value = key, value
	o.row.Values[elementRecord] = saql.RecordValue(&o.record)
}
