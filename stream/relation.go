package stream

import (
	"fmt"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// A relation is what a SELECT reads, and what its names mean. Its rows have the
// values that were asked for while the script was compiled and no others: a
// stream is decoded, and a join keeps rows, no further than that.
type relation interface {
	// has tells whether there is a column of that name; of a stream whose columns
	// nobody declared it is possible.
	has(name string) presence
	// column asks for the value at a path: a column, then fields of records.
	// It is asked of no column that is absent.
	column(path []saql.Name) ref
	// star asks for all columns in the order of SELECT *.
	star() []starColumn
}

// presence is what is known about a name.
type presence uint8

const (
	absent presence = iota
	possible
	present
)

// A ref is a place in a row: a value, then fields of records to descend into.
type ref struct {
	slot   int
	fields []string
}

// nowhere is a place that is NULL in every row.
var nowhere = ref{slot: -1}

// A starColumn is one column of SELECT *: a name, or a record to spread.
type starColumn struct {
	saql.SchemaColumn
	ref ref
}

// value returns what is at the place, NULL where a record on the way is none.
func (r ref) value(row *saql.Row) saql.Value {
	if r.slot < 0 {
		return saql.Null
	}
	v := row.Values[r.slot]
	for _, f := range r.fields {
		rec := v.Record()
		if rec == nil {
			return saql.Null
		}
		v = rec.Get(f)
	}
	return v
}

func (r ref) equal(o ref) bool {
	if r.slot != o.slot || len(r.fields) != len(o.fields) {
		return false
	}
	for i := range r.fields {
		if r.fields[i] != o.fields[i] {
			return false
		}
	}
	return true
}

// in returns the place of fields within r.
func (r ref) in(fields []saql.Name) ref {
	if len(fields) == 0 {
		return r
	}
	all := make([]string, 0, len(r.fields)+len(fields))
	all = append(all, r.fields...)
	for _, f := range fields {
		all = append(all, f.Text)
	}
	return ref{slot: r.slot, fields: all}
}

// A layout is how an operator makes its rows of those that it takes: each value
// is copied from a place of the row at a port. It grows while the script is
// compiled and is fixed when the program runs.
type layout struct {
	from []place
	// computed is the number of values that the operator adds in front.
	computed int
}

type place struct {
	port int
	ref  ref
	what string // tells what the value is, whatever its slot
}

// claim returns the slot that is copied from a place.
func (l *layout) claim(port int, r ref, what string) int {
	for i, p := range l.from {
		if p.port == port && p.ref.equal(r) {
			return l.computed + i
		}
	}
	l.from = append(l.from, place{port, r, what})
	return l.computed + len(l.from) - 1
}

// width returns the number of values of a row.
func (l *layout) width() int { return l.computed + len(l.from) }

// fill copies the values of a row that came in at a port.
func (l *layout) fill(to []saql.Value, port int, row *saql.Row) {
	for i := range l.from {
		if p := &l.from[i]; p.port == port {
			to[l.computed+i] = p.ref.value(row)
		}
	}
}

// names tells what the copied values are.
func (l *layout) names() []string {
	var names []string
	for _, p := range l.from {
		names = append(names, p.what)
	}
	return names
}

// copied is the relation of a source as rows of a layout hold it, which an
// operator copies from a port.
type copied struct {
	relation
	source string
	port   int
	layout *layout
}

func (c copied) column(path []saql.Name) ref {
	what := c.source
	for _, name := range path {
		what += "." + strings.ToLower(name.Text)
	}
	return c.claim(c.relation.column(path), what)
}

func (c copied) star() []starColumn {
	all := c.relation.star()
	moved := make([]starColumn, len(all))
	for i, s := range all {
		what := fmt.Sprintf("%s.%s", c.source, strings.ToLower(s.Name))
		if s.Spread {
			what += ".*"
		}
		moved[i] = starColumn{s.SchemaColumn, c.claim(s.ref, what)}
	}
	return moved
}

func (c copied) metadata(path []string) ref {
	return c.claim(c.relation.(messages).metadata(path), fmt.Sprintf("%s@%q", c.source, path))
}

func (c copied) claim(r ref, what string) ref {
	return ref{slot: c.layout.claim(c.port, r, what)}
}

// messages is a relation whose rows are messages of an input.
type messages interface {
	// metadata asks for what the message carries beside its payload.
	metadata(path []string) ref
}

// metadataOf returns the metadata of rel, if its rows are messages.
func metadataOf(rel relation) (messages, bool) {
	if c, ok := rel.(copied); ok {
		_, under := metadataOf(c.relation)
		return c, under
	}
	m, ok := rel.(messages)
	return m, ok
}

// sameName reports whether two identifiers are the same: case does not matter.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }
