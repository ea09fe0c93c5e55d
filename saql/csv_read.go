package saql

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A CSVDecoder reads CSV bodies (RFC 4180, with any delimiter) to the values of
// some columns. The first line names the columns; every value is a string, as
// Stream Analytics has it: CAST converts. A column that the header does not
// name, a nested one, or one that a short row ends before, is NULL. Values are
// valid until the body changes or the next row is read.
//
// A CSVDecoder is for one goroutine.
type CSVDecoder struct {
	columns   []DecodeColumn
	delimiter byte

	b      []byte
	i      int
	names  []string // of the header
	fields []string // of the row
	record Record   // that the whole row is
	texts  chunk[byte]
}

// NewCSVDecoder returns a CSVDecoder for columns: values[i] is that of columns[i].
func NewCSVDecoder(columns []DecodeColumn, delimiter byte) *CSVDecoder {
	return &CSVDecoder{columns: columns, delimiter: delimiter}
}

// Rows calls each for every row when its values are set, or with a *DecodeError
// where a row has more values than the header has names: values have no meaning
// then. A body that is not CSV in UTF-8 has no rows, but an error. What each
// returns, if not nil, ends Rows and is its result.
func (d *CSVDecoder) Rows(body []byte, values []Value, each func(index int, err error) error) error {
	if err := d.begin(body); err != nil {
		return err
	}
	slots := d.slots()
	for index := 0; d.i < len(d.b); {
		from := d.i
		d.line()
		if len(d.fields) == 0 {
			continue
		}
		var err error
		if len(d.fields) > len(d.names) {
			err = &DecodeError{from, fmt.Sprintf("the row has %d values, the header %d names", len(d.fields), len(d.names))}
		} else {
			d.row(slots, values)
		}
		if err := each(index, err); err != nil {
			return err
		}
		index++
	}
	return nil
}

// begin checks the body and reads its header.
func (d *CSVDecoder) begin(body []byte) error {
	var s jsonScanner
	s.begin(body)
	if s.err == nil {
		s.checkUTF8()
	}
	if s.err != nil {
		return s.err
	}
	d.b = bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))
	skipped := len(body) - len(d.b)
	for d.i = 0; d.i < len(d.b); {
		if err := d.line(); err != nil {
			err.Offset += skipped
			return err
		}
	}
	d.i = 0
	for len(d.fields) == 0 || d.i == 0 {
		if d.i == len(d.b) {
			return &DecodeError{len(body), "expected a header, found the end"}
		}
		d.line()
	}
	d.names = d.names[:0]
	for _, name := range d.fields {
		d.names = append(d.names, strings.Clone(strings.TrimSpace(name)))
	}
	return nil
}

// slots returns the place of every column in a row: -1 where there is none,
// len(names) for the whole row.
func (d *CSVDecoder) slots() []int {
	slots := make([]int, len(d.columns))
	for i, path := range d.columns {
		switch len(path) {
		case 0:
			slots[i] = len(d.names)
		case 1:
			slots[i] = d.slot(path[0])
		default:
			slots[i] = -1
		}
	}
	return slots
}

func (d *CSVDecoder) slot(name string) int {
	fold := -1
	for i, n := range d.names {
		if n == name {
			return i
		}
		if fold < 0 && strings.EqualFold(n, name) {
			fold = i
		}
	}
	return fold
}

func (d *CSVDecoder) row(slots []int, values []Value) {
	for i, slot := range slots {
		switch {
		case slot == len(d.names):
			values[i] = d.whole()
		case slot < 0 || slot >= len(d.fields):
			values[i] = Null
		default:
			values[i] = String(d.fields[slot])
		}
	}
}

func (d *CSVDecoder) whole() Value {
	d.record.Fields = d.record.Fields[:0]
	for i, name := range d.names {
		v := Null
		if i < len(d.fields) {
			v = String(d.fields[i])
		}
		if k := indexOfName(d.record.Fields, name); k >= 0 {
			d.record.Fields[k].Value = v
			continue
		}
		d.record.Fields = append(d.record.Fields, Field{name, v})
	}
	return RecordValue(&d.record)
}

// line reads the fields of a line; an empty line has none.
func (d *CSVDecoder) line() *DecodeError {
	d.fields = d.fields[:0]
	d.texts.reset()
	if d.newline() {
		return nil
	}
	for {
		field, err := d.field()
		if err != nil {
			return err
		}
		d.fields = append(d.fields, field)
		if d.i == len(d.b) || d.newline() {
			return nil
		}
		d.i++ // the delimiter
	}
}

// newline passes the end of a line, if it is here.
func (d *CSVDecoder) newline() bool {
	rest := d.b[d.i:]
	switch {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		d.i += 2
	case len(rest) > 0 && (rest[0] == '\n' || rest[0] == '\r'):
		d.i++
	default:
		return false
	}
	return true
}

// field reads up to a delimiter or the end of the line.
func (d *CSVDecoder) field() (string, *DecodeError) {
	from := d.i
	if from < len(d.b) && d.b[from] == '"' {
		return d.quoted()
	}
	for d.i < len(d.b) && d.b[d.i] != d.delimiter && d.b[d.i] != '\n' && d.b[d.i] != '\r' {
		d.i++
	}
	return unsafeString(d.b[from:d.i]), nil
}

// quoted reads a field in quotes; two quotes in it are one.
func (d *CSVDecoder) quoted() (string, *DecodeError) {
	open := d.i
	from, doubled := d.i+1, 0
	d.i = from
	for {
		end := bytes.IndexByte(d.b[d.i:], '"')
		if end < 0 {
			return "", &DecodeError{open, "a quote that is not closed"}
		}
		d.i += end + 1
		if d.i == len(d.b) || d.b[d.i] != '"' {
			break
		}
		d.i++
		doubled++
	}
	raw := d.b[from : d.i-1]
	if d.i < len(d.b) && d.b[d.i] != d.delimiter && d.b[d.i] != '\n' && d.b[d.i] != '\r' {
		r, _ := utf8.DecodeRune(d.b[d.i:])
		return "", &DecodeError{d.i, "expected a delimiter behind the quote, found " + strconv.QuoteRune(r)}
	}
	if doubled == 0 {
		return unsafeString(raw), nil
	}
	text := d.texts.take(len(raw) - doubled)
	n := 0
	for i := 0; i < len(raw); i++ {
		text[n] = raw[i]
		n++
		if raw[i] == '"' {
			i++
		}
	}
	return unsafeString(text), nil
}
