package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// IngestOptions are what the compatibility level of a job says about its input.
type IngestOptions struct {
	// BoolAsBigint reads true and false as 1 and 0 of type bigint, as levels
	// before 1.2 do.
	BoolAsBigint bool
}

// A payload decodes what is read of a record, and holds it to CREATE TABLE.
type payload struct {
	paths   []saql.DecodeColumn
	decoder *saql.Decoder
	table   []typedSlot
	types   map[string]saql.Type // of CREATE TABLE, by name in lower case
	o       IngestOptions
}

// A typedSlot is a value whose type is declared.
type typedSlot struct {
	slot int
	name string
	kind saql.Type
}

// newPayload decodes the given paths, and all columns of the table behind them.
func newPayload(paths []saql.DecodeColumn, table []saql.TableColumn, o IngestOptions) *payload {
	p := &payload{paths: paths, types: make(map[string]saql.Type), o: o}
	for _, c := range table {
		p.types[strings.ToLower(c.Name.Text)] = c.Type
		slot := slices.IndexFunc(p.paths, func(path saql.DecodeColumn) bool { return len(path) == 1 && strings.EqualFold(path[0], c.Name.Text) })
		if slot < 0 {
			slot = len(p.paths)
			p.paths = append(p.paths, saql.DecodeColumn{c.Name.Text})
		}
		p.table = append(p.table, typedSlot{slot, c.Name.Text, c.Type})
	}
	p.decoder = saql.NewDecoder(p.paths)
	return p
}

func (p *payload) width() int { return len(p.paths) }

// check refuses values that are not of the type that CREATE TABLE declares.
// JSON has no datetimes and tells floats by their point alone: those are made.
func (p *payload) check(values []saql.Value) error {
	if p.o.BoolAsBigint {
		for i, v := range values {
			if v.Kind() == saql.KindBit {
				values[i], _ = saql.Convert(v, saql.KindFloat) // a bit can
				values[i] = saql.Bigint(int64(values[i].Float()))
			}
		}
	}
	for _, t := range p.table {
		v := values[t.slot]
		if v.IsNull() || v.Kind() == t.kind {
			continue
		}
		asText := t.kind == saql.KindDatetime && v.Kind() == saql.KindString
		asWhole := t.kind == saql.KindFloat && v.Kind() == saql.KindBigint
		if !asText && !asWhole {
			return fmt.Errorf("column %s is %s, CREATE TABLE declares it as %s", t.name, v.Kind(), t.kind)
		}
		c, err := saql.Convert(v, t.kind)
		if err != nil {
			return fmt.Errorf("column %s: %w", t.name, err)
		}
		values[t.slot] = c
	}
	return nil
}

// convert makes the value of a column of text, as CREATE TABLE declares it.
func (p *payload) convert(column string, v saql.Value) (saql.Value, error) {
	kind, declared := p.types[strings.ToLower(column)]
	if !declared {
		return v, nil
	}
	c, err := saql.Convert(v, kind)
	if err != nil {
		return saql.Null, fmt.Errorf("column %s: %w", column, err)
	}
	return c, nil
}
