package stream

import (
	"unsafe"

	"github.com/weir-iot/weir/saql"
)

// An arena is the memory of the values of a block. What it gave is valid until
// reset, also while it grows.
type arena struct {
	text    []byte
	fields  []saql.Field
	records []saql.Record
}

func (a *arena) reset() {
	clear(a.fields)
	clear(a.records)
	a.text, a.fields, a.records = a.text[:0], a.fields[:0], a.records[:0]
}

func (a *arena) size() int { return cap(a.text) + 40*cap(a.fields) + 24*cap(a.records) }

// keep copies b.
func (a *arena) keep(b []byte) []byte {
	n := len(a.text)
	a.text = append(a.text, b...)
	return a.text[n:len(a.text):len(a.text)]
}

// str copies s to a value.
func (a *arena) str(s string) saql.Value {
	n := len(a.text)
	a.text = append(a.text, s...)
	return view(a.text[n:])
}

// view is b as a value, without a copy.
func view(b []byte) saql.Value { return saql.String(unsafe.String(unsafe.SliceData(b), len(b))) }

// record makes a record of the fields that were added since from.
func (a *arena) record(from int) saql.Value {
	a.records = append(a.records, saql.Record{Fields: a.fields[from:len(a.fields):len(a.fields)]})
	return saql.RecordValue(&a.records[len(a.records)-1])
}
