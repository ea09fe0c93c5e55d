package stream

import (
	"github.com/weir-iot/weir/saql"
)

// project adds the node of a SELECT list with the conditions in front of it.
func (c *compiler) project(p *projection, from *node, conditions ...evaluator) *node {
	var where []evaluator
	for _, cond := range conditions {
		if cond != nil {
			where = append(where, cond)
		}
	}
	n := &node{perPartition: true}
	n.text = "project"
	if len(where) > 0 {
		n.text = "filter, project"
	}
	n.build = func(fail Failure) Operator {
		return &project{where: where, evals: p.evals, fail: fail, row: saql.Row{Values: make([]saql.Value, len(p.evals))}}
	}
	return c.add(n, from)
}

// filter adds a node that passes rows on unchanged where the condition is true.
func (c *compiler) filter(from *node, where evaluator) *node {
	if where == nil {
		return from
	}
	n := &node{text: "filter", perPartition: true}
	n.build = func(fail Failure) Operator { return &filter{where: where, fail: fail} }
	return c.add(n, from)
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
