package stream

import (
	"github.com/weir-iot/weir/saql"
)

// query compiles one SELECT or a UNION of several.
func (c *compiler) query(q *saql.Query) (step, error) {
	var branches []step
	for _, s := range q.Selects {
		compiled, err := c.selects(s)
		if err != nil {
			return step{}, err
		}
		branches = append(branches, compiled)
	}
	if len(branches) == 1 {
		return branches[0], nil
	}
	return c.union(q, branches)
}

// selects compiles one SELECT: what it reads, WHERE, GROUP BY, then HAVING and
// the columns.
func (c *compiler) selects(s *saql.Select) (step, error) {
	sc, n, err := c.from(s)
	if err != nil {
		return step{}, err
	}
	if len(s.GroupBy) > 0 || hasAggregate(s) {
		return c.grouped(sc, n, s)
	}
	where, err := c.condition(sc, s.Where)
	if err != nil {
		return step{}, err
	}
	p := &projection{}
	if err := c.items(p, sc, s); err != nil {
		return step{}, err
	}
	having, err := c.condition(sc, s.Having)
	if err != nil {
		return step{}, err
	}
	return step{c.project(p, n, s, where, having), p}, nil
}

// items compiles the SELECT list.
func (c *compiler) items(p *projection, sc *scope, s *saql.Select) error {
	for i, item := range s.Items {
		if item.Star {
			star, err := c.star(sc, item)
			if err != nil {
				return err
			}
			p.items = append(p.items, projected{star: star})
			continue
		}
		op, err := c.expr(sc, item.Expr)
		if err != nil {
			return err
		}
		name := item.ColumnName(i)
		for _, other := range p.items {
			if other.star == nil && sameName(other.name, name) {
				err := saql.Errorf(item.At, "two columns are called %s", name)
				err.Hint = "give one another name with AS"
				return err
			}
		}
		p.items = append(p.items, projected{name: name, slot: p.compute(op.eval), partition: isPartition(sc, item.Expr), datetime: isDatetime(sc, item.Expr)})
	}
	return nil
}

// A star gives the columns of *, source.* or record.* when they are asked for,
// and finds single ones among them.
type star struct {
	rels   []relation
	record *recordStar // of record.*
}

// A recordStar is a column whose fields are columns.
type recordStar struct {
	name string
	in   func(fields []saql.Name) ref
}

func (c *compiler) star(sc *scope, item saql.Item) (*star, error) {
	if sc.refuse != nil {
		err := saql.Errorf(item.At, "SELECT * with GROUP BY")
		err.Hint = "list keys and aggregates"
		return nil, err
	}
	if item.Of == nil {
		st := &star{}
		for _, src := range sc.sources {
			st.rels = append(st.rels, src.rel)
		}
		return st, nil
	}
	if src := sc.source(item.Of[0].Text); src != nil && len(item.Of) == 1 {
		return &star{rels: []relation{src.rel}}, nil
	}
	if _, err := sc.owner(item.Of[0]); err != nil && sc.source(item.Of[0].Text) == nil {
		return nil, err
	}
	in := func(fields []saql.Name) ref {
		// Asked as a path, so that an input decodes the field alone.
		at, _ := sc.resolve(&saql.Column{At: item.At, Path: append(item.Of[:len(item.Of):len(item.Of)], fields...)})
		return at
	}
	return &star{record: &recordStar{item.Of[len(item.Of)-1].Text, in}}, nil
}

func (s *star) has(name string) presence {
	if s.record != nil {
		return possible
	}
	known := absent
	for _, rel := range s.rels {
		known = max(known, rel.has(name))
	}
	return known
}

func (s *star) column(path []saql.Name) ref {
	if s.record != nil {
		return s.record.in(path)
	}
	best := s.rels[0]
	for _, rel := range s.rels[1:] {
		if rel.has(path[0].Text) > best.has(path[0].Text) {
			best = rel
		}
	}
	return best.column(path)
}

func (s *star) columns() []starColumn {
	if s.record != nil {
		return []starColumn{{saql.SchemaColumn{Name: s.record.name, Spread: true}, s.record.in(nil)}}
	}
	var all []starColumn
	for _, rel := range s.rels {
		all = append(all, rel.star()...)
	}
	return all
}
