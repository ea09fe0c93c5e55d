package stream

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// csv makes a row of each line behind the first, which names the columns. A
// value is text; where CREATE TABLE declares its column it is converted.
func (r *rowMaker) csv(events []event, b *block, m *telemetry.Message, text []byte, delimiter rune) []event {
	lines := csv.NewReader(bytes.NewReader(text))
	lines.Comma = delimiter
	lines.TrimLeadingSpace = true
	header, err := lines.Read()
	if err != nil {
		return append(events, r.dead(b, m, 0, causeBody, csvError(err)))
	}
	header = slices.Clone(header)
	lines.ReuseRecord = true
	columns := make([]int, len(r.payload.paths))
	for i, path := range r.payload.paths {
		columns[i] = columnOf(header, path)
	}
	for index := 0; ; index++ {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err == nil && index == MaxRows {
			err = fmt.Errorf("%w: over %d", errRows, MaxRows)
		}
		if err != nil {
			return append(events, r.dead(b, m, index, causeBody, csvError(err)))
		}
		if err := r.line(&b.arena, header, columns, line); err != nil {
			events = append(events, r.dead(b, m, index, causeTable, err))
			continue
		}
		events = append(events, r.made(b, m, index))
	}
}

// csvError tells an empty body from a broken one.
func csvError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("CSV without a line that names the columns")
	}
	return fmt.Errorf("CSV: %w", err)
}

func (r *rowMaker) line(a *arena, header []string, columns []int, line []string) (err error) {
	for i, path := range r.payload.paths {
		switch {
		case len(path) == 0:
			from := len(a.fields)
			for k, name := range header {
				a.fields = append(a.fields, saql.Field{Name: name, Value: a.str(line[k])})
			}
			r.scratch[i] = a.record(from)
		case columns[i] < 0:
			r.scratch[i] = saql.Null
		default:
			if r.scratch[i], err = r.payload.convert(path[0], a.str(line[columns[i]])); err != nil {
				return err
			}
		}
	}
	return nil
}
