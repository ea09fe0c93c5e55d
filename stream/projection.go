package stream

import (
	"slices"

	"github.com/weir-iot/weir/saql"
)

// A projection is the relation of a SELECT list. Columns that are written out
// are computed always; those of a star when somebody asks for them.
type projection struct {
	items  []projected
	evals  []evaluator // by slot
	copies []copiedSlot
	firsts map[string]int // slots of columns that several entries may have, by name
}

// A projected is one entry of the list: an expression, or a star.
type projected struct {
	name string
	slot int
	star *star // nil: an expression
	// partition: the value is the PartitionId of the input.
	partition bool
	// datetime: the value is known to be a datetime.
	datetime bool
}

// A copiedSlot is one that copies a place of the row that is projected.
type copiedSlot struct {
	from ref
	slot int
}

func (p *projection) compute(eval evaluator) int {
	p.evals = append(p.evals, eval)
	return len(p.evals) - 1
}

// copy returns the slot that holds a place of the row that is projected.
func (p *projection) copy(from ref) int {
	for _, c := range p.copies {
		if c.from.equal(from) {
			return c.slot
		}
	}
	slot := p.compute(load(from))
	p.copies = append(p.copies, copiedSlot{from, slot})
	return slot
}

func (p *projection) has(name string) presence {
	known := absent
	for _, it := range p.items {
		switch {
		case it.star != nil:
			known = max(known, it.star.has(name))
		case sameName(it.name, name):
			return present
		}
	}
	return known
}

// column finds the leftmost column of that name. A star left of it may have it,
// where nobody declared what its columns are: a value there that is not NULL goes first.
func (p *projection) column(path []saql.Name) ref {
	found := p.candidates(path[0].Text)
	if len(found) == 1 {
		if found[0].star != nil {
			return ref{slot: p.copy(found[0].star.column(path))}
		}
		return ref{slot: found[0].slot}.in(path[1:])
	}
	name := path[0].Text
	if slot, ok := p.firsts[name]; ok {
		return ref{slot: slot}.in(path[1:])
	}
	evals := make([]evaluator, len(found))
	for i, it := range found {
		if it.star != nil {
			evals[i] = load(it.star.column(path[:1]))
		} else {
			evals[i] = p.evals[it.slot]
		}
	}
	if p.firsts == nil {
		p.firsts = make(map[string]int)
	}
	p.firsts[name] = p.compute(firstKnown(evals))
	return ref{slot: p.firsts[name]}.in(path[1:])
}

// candidates returns the entries that may have the column, up to one that has it.
func (p *projection) candidates(name string) []projected {
	var found []projected
	for _, it := range p.items {
		known := absent
		if it.star != nil {
			known = it.star.has(name)
		} else if sameName(it.name, name) {
			known = present
		}
		if known != absent {
			found = append(found, it)
		}
		if known == present {
			break
		}
	}
	return found
}

// firstKnown evaluates to the first value that is not NULL.
func firstKnown(evals []evaluator) evaluator {
	return func(row *saql.Row) (saql.Value, error) {
		for _, eval := range evals {
			if v, err := eval(row); err != nil || !v.IsNull() {
				return v, err
			}
		}
		return saql.Null, nil
	}
}

func (p *projection) star() []starColumn {
	var all []starColumn
	add := func(c starColumn) {
		shadowed := !c.Spread && slices.ContainsFunc(all, func(o starColumn) bool { return !o.Spread && sameName(o.Name, c.Name) })
		if !shadowed {
			all = append(all, c)
		}
	}
	for _, it := range p.items {
		if it.star == nil {
			add(starColumn{saql.SchemaColumn{Name: it.name}, ref{slot: it.slot}})
			continue
		}
		for _, c := range it.star.columns() {
			c.ref = ref{slot: p.copy(c.ref)}
			add(c)
		}
	}
	return all
}

func (p *projection) arrange(columns []starColumn) { p.evals = arranged(p.evals, columns) }

// arranged returns the slots of columns, in their order, then those that are
// none of them.
func arranged[E any](slots []E, columns []starColumn) []E {
	var all []E
	for _, c := range columns {
		all = append(all, slots[c.ref.slot])
	}
	for slot, s := range slots {
		if !slices.ContainsFunc(columns, func(c starColumn) bool { return c.ref.slot == slot }) {
			all = append(all, s)
		}
	}
	return all
}

func (p *projection) names() []string {
	var names []string
	for _, it := range p.items {
		if it.star == nil {
			names = append(names, it.name)
		}
	}
	return names
}
