package stream

import (
	"slices"

	"github.com/weir-iot/weir/saql"
)

// A union is the relation of SELECT … UNION SELECT …: each of its slots is
// computed of the rows of every branch.
type union struct {
	branches []relation
	evals    [][]evaluator // by slot, then branch
	claims   []unionClaim
}

// A unionClaim is a slot that copies a place of each branch.
type unionClaim struct {
	from []ref
	slot int
}

// union compiles the branches of a UNION, which keeps duplicates.
func (c *compiler) union(q *saql.Query, branches []step) (step, error) {
	u := &union{}
	var from []*node
	for i, b := range branches {
		if want, got := written(branches[0].rel), written(b.rel); want >= 0 && got >= 0 && want != got {
			return step{}, saql.Errorf(q.Selects[i].At, "%d columns in UNION with a SELECT of %d", got, want)
		}
		u.branches = append(u.branches, b.rel)
		from = append(from, b.node)
	}
	n := &node{text: "union", perPartition: true}
	n.build = func(Failure) Operator {
		return &unite{evals: u.evals, row: saql.Row{Values: make([]saql.Value, len(u.evals))}}
	}
	return step{c.add(n, from...), u}, nil
}

// written returns the number of columns of a SELECT without stars, else -1.
func written(rel relation) int {
	p, ok := rel.(*projection)
	if !ok || slices.ContainsFunc(p.items, func(it projected) bool { return it.star != nil }) {
		return -1
	}
	return len(p.items)
}

func (u *union) has(name string) presence {
	known := absent
	for _, b := range u.branches {
		known = max(known, b.has(name))
		if written(b) >= 0 {
			break // its columns name those of the others
		}
	}
	return known
}

// column finds a column by the names of the first branch; where branches have
// stars, by its name in each.
func (u *union) column(path []saql.Name) ref {
	first, ok := u.branches[0].(*projection)
	if ok && written(first) >= 0 {
		i := slices.IndexFunc(first.items, func(it projected) bool { return sameName(it.name, path[0].Text) })
		if from, ok := u.position(i); ok {
			return ref{slot: u.claim(from)}.in(path[1:])
		}
	}
	from := make([]ref, len(u.branches))
	for i, b := range u.branches {
		from[i] = nowhere
		if b.has(path[0].Text) != absent {
			from[i] = b.column(path)
		}
	}
	return ref{slot: u.claim(from)}
}

// position returns the places of the column at i, if no branch has a star.
func (u *union) position(i int) ([]ref, bool) {
	from := make([]ref, len(u.branches))
	for j, b := range u.branches {
		if written(b) < 0 {
			return nil, false
		}
		from[j] = ref{slot: b.(*projection).items[i].slot}
	}
	return from, true
}

// claim returns the slot of places, one of each branch.
func (u *union) claim(from []ref) int {
	for _, c := range u.claims {
		if slices.EqualFunc(c.from, from, ref.equal) {
			return c.slot
		}
	}
	evals := make([]evaluator, len(from))
	for i, r := range from {
		evals[i] = load(r)
	}
	u.claims = append(u.claims, unionClaim{from, len(u.evals)})
	u.evals = append(u.evals, evals)
	return len(u.evals) - 1
}

func (u *union) arrange(columns []starColumn) { u.evals = arranged(u.evals, columns) }

// star gives the columns by position where the branches have the same shape,
// else each row as one record to spread.
func (u *union) star() []starColumn {
	columns := make([][]starColumn, len(u.branches))
	alike := true
	for i, b := range u.branches {
		columns[i] = b.star()
		alike = alike && slices.EqualFunc(columns[0], columns[i], func(a, b starColumn) bool {
			return a.Spread == b.Spread && (written(u.branches[0]) >= 0 || a.Spread || sameName(a.Name, b.Name))
		})
	}
	if !alike {
		evals := make([]evaluator, len(columns))
		for i := range columns {
			evals[i] = recordOf(columns[i])
		}
		u.evals = append(u.evals, evals)
		return []starColumn{{saql.SchemaColumn{Spread: true}, ref{slot: len(u.evals) - 1}}}
	}
	all := make([]starColumn, len(columns[0]))
	for i := range all {
		from := make([]ref, len(columns))
		for j := range columns {
			from[j] = columns[j][i].ref
		}
		all[i] = starColumn{columns[0][i].SchemaColumn, ref{slot: u.claim(from)}}
	}
	return all
}

// recordOf evaluates to a record of all columns, as SELECT * gives them.
func recordOf(columns []starColumn) evaluator {
	var schema saql.Schema
	for _, c := range columns {
		schema.Columns = append(schema.Columns, c.SchemaColumn)
	}
	return func(row *saql.Row) (saql.Value, error) {
		values := make([]saql.Value, len(columns))
		for i, c := range columns {
			values[i] = c.ref.value(row)
		}
		return saql.RecordValue(schema.Record(values)), nil
	}
}

// A unite gives the rows of all branches, in the order of time.
type unite struct {
	stateless
	evals [][]evaluator
	row   saql.Row // the one that is given
}

func (o *unite) Process(port int, row *saql.Row, emit Emit) error {
	for i := range o.evals {
		v, err := o.evals[i][port](row)
		if err != nil {
			return err
		}
		o.row.Values[i] = v
	}
	o.row.Time, o.row.Key = row.Time, row.Key
	return emit(&o.row)
}
