package stream

import (
	"fmt"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// csv makes a row of each line behind the first, which names the columns. A
// value is text; where CREATE TABLE declares its column it is converted.
func (r *rowMaker) csv(events []event, b *block, m *telemetry.Message, text []byte, delimiter byte) []event {
	d := r.lines[delimiter]
	if d == nil {
		d = saql.NewCSVDecoder(r.payload.paths, delimiter)
		r.lines[delimiter] = d
	}
	first := len(events)
	err := d.Rows(text, r.scratch, func(index int, err error) error {
		cause := causeBody
		if index == MaxRows {
			return fmt.Errorf("%w: over %d", errRows, MaxRows)
		}
		if err == nil {
			cause, err = causeTable, r.line(&b.arena)
		}
		if err != nil {
			events = append(events, r.dead(b, m, index, cause, err))
		} else {
			events = append(events, r.made(b, m, index))
		}
		return nil
	})
	if err != nil {
		r.first = nil
		return append(events[:first], r.dead(b, m, 0, causeBody, err))
	}
	return events
}

// line converts the values of a line, and copies them to where the next line
// leaves them alone.
func (r *rowMaker) line(a *arena) (err error) {
	for i, v := range r.scratch {
		path := r.payload.paths[i]
		switch {
		case v.Kind() == saql.KindString && len(path) == 1:
			if r.scratch[i], err = r.payload.convert(path[0], a.str(v.Str())); err != nil {
				return err
			}
		case v.Kind() == saql.KindRecord:
			from := len(a.fields)
			for _, f := range v.Record().Fields {
				if !f.Value.IsNull() {
					f.Value = a.str(f.Value.Str())
				}
				a.fields = append(a.fields, f)
			}
			r.scratch[i] = a.record(from)
		}
	}
	return nil
}
