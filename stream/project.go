package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
)

// project adds the node of a SELECT list with the conditions in front of it.
func (c *compiler) project(p *projection, from *node, s *saql.Select, conditions ...condition) *node {
	n := &node{text: "project " + itemsText(s.Items), perPartition: true}
	var where []evaluator
	for i := len(conditions) - 1; i >= 0; i-- {
		if cond := conditions[i]; cond.eval != nil {
			where = append([]evaluator{cond.eval}, where...)
			n.text = "filter " + cond.text + "; " + n.text
		}
	}
	n.build = func(fail Failure) Operator {
		return &project{where: where, evals: p.evals, fail: fail, row: saql.Row{Values: make([]saql.Value, len(p.evals))}}
	}
	return c.add(n, from)
}

// itemsText describes a SELECT list.
func itemsText(items []saql.Item) string {
	var texts []string
	for _, it := range items {
		switch {
		case it.Star:
			text := "*"
			for i := len(it.Of) - 1; i >= 0; i-- {
				text = it.Of[i].Text + "." + text
			}
			texts = append(texts, text)
		case it.Alias != nil:
			texts = append(texts, saql.ExprString(it.Expr)+" AS "+it.Alias.Text)
		default:
			texts = append(texts, saql.ExprString(it.Expr))
		}
	}
	return strings.Join(texts, ", ")
}

// filter adds a node that passes rows on unchanged where the condition is true.
func (c *compiler) filter(from *node, where condition) *node {
	if where.eval == nil {
		return from
	}
	n := &node{text: "filter " + where.text, perPartition: true}
	n.build = func(fail Failure) Operator { return &filter{where: where.eval, fail: fail} }
	return c.add(n, from)
}

// A condition is a compiled WHERE, ON, WHEN or HAVING; without eval there is none.
type condition struct {
	eval evaluator
	text string
}

func (c *compiler) condition(sc *scope, e saql.Expr) (condition, error) {
	if e == nil {
		return condition{}, nil
	}
	op, err := c.expr(sc, e)
	if err != nil {
		return condition{}, err
	}
	return condition{op.eval, saql.ExprString(e)}, nil
}

// A project computes a SELECT list of the rows for which all conditions are true.
type project struct {
	stateless
	where []evaluator
	evals []evaluator
	fail  Failure
	row   saql.Row // the one that is given
}

func (o *project) Process(_ int, row *saql.Row, emit Emit) error {
	for _, cond := range o.where {
		if ok, err := selected(cond, row); !ok {
			return failed(o.fail, err, row.Key)
		}
	}
	for i, eval := range o.evals {
		v, err := eval(row)
		if err != nil {
			return failed(o.fail, err, row.Key)
		}
		o.row.Values[i] = v
	}
	o.row.Time, o.row.Key = row.Time, row.Key
	return emit(&o.row)
}

// A filter passes rows on for which a condition is true.
type filter struct {
	stateless
	where evaluator
	fail  Failure
}

func (o *filter) Process(_ int, row *saql.Row, emit Emit) error {
	if ok, err := selected(o.where, row); !ok {
		return failed(o.fail, err, row.Key)
	}
	return emit(row)
}

// selected reports whether a condition is true: neither 0 nor NULL.
func selected(cond evaluator, row *saql.Row) (bool, error) {
	v, err := cond(row)
	if err != nil {
		return false, err
	}
	return saql.Truth(v)
}

// failed hands the error of one row on; the row is not made. nil is no error.
func failed(fail Failure, err error, key saql.Key) error {
	if err == nil {
		return nil
	}
	re, ok := err.(*RowError)
	if !ok {
		re = &RowError{Reason: err.Error()}
	}
	re.Key = key
	return fail(re)
}
