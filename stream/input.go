package stream

import (
	"slices"

	"github.com/weir-iot/weir/saql"
)

// An inputPlan is an InputPlan that is being made, and the relation of its rows.
type inputPlan struct {
	InputPlan
	node     *node
	clause   string // TIMESTAMP BY … OVER …, as far as it tells inputs apart
	implicit bool   // SELECT * has the implicit columns
}

// implicitColumns are those that Stream Analytics adds to the rows of an input.
var implicitColumns = []string{"EventProcessedUtcTime", "PartitionId", "EventEnqueuedUtcTime", "IoTHub"}

// implicitColumn returns how an implicit column is spelt.
func implicitColumn(name string) (string, bool) {
	i := slices.IndexFunc(implicitColumns, func(c string) bool { return sameName(c, name) })
	if i < 0 {
		return "", false
	}
	return implicitColumns[i], true
}

func (in *inputPlan) has(name string) presence {
	if _, ok := implicitColumn(name); ok {
		return present
	}
	for _, c := range in.Table {
		if sameName(c.Name.Text, name) {
			return present
		}
	}
	return possible
}

func (in *inputPlan) column(path []saql.Name) ref {
	var c InputColumn
	for _, n := range path {
		c.Path = append(c.Path, n.Text)
	}
	if name, ok := implicitColumn(path[0].Text); ok {
		c.Metadata = append([]string{name}, c.Path[1:]...)
	}
	return in.claim(c)
}

// star is the whole record, or the columns of CREATE TABLE where it is declared.
func (in *inputPlan) star() []starColumn {
	var all []starColumn
	for _, c := range in.Table {
		all = append(all, starColumn{saql.SchemaColumn{Name: c.Name.Text}, in.claim(InputColumn{Path: []string{c.Name.Text}})})
	}
	if len(in.Table) == 0 {
		all = append(all, starColumn{saql.SchemaColumn{Name: in.Alias, Spread: true}, in.claim(InputColumn{})})
	}
	if !in.implicit {
		return all
	}
	for _, name := range implicitColumns {
		r := in.claim(InputColumn{Path: []string{name}, Metadata: []string{name}})
		all = append(all, starColumn{saql.SchemaColumn{Name: name}, r})
	}
	return all
}

func (in *inputPlan) metadata(path []string) ref { return in.claim(InputColumn{Metadata: path}) }

// claim returns the place of a column; that of the same path in the same case
// is one place.
func (in *inputPlan) claim(c InputColumn) ref {
	i := slices.IndexFunc(in.Columns, func(o InputColumn) bool {
		return slices.Equal(o.Path, c.Path) && slices.Equal(o.Metadata, c.Metadata)
	})
	if i < 0 {
		i = len(in.Columns)
		in.Columns = append(in.Columns, c)
	}
	return ref{slot: i}
}
