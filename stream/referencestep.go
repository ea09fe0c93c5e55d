package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
)

// A referenceStep is SELECT … FROM reference data WHERE … as a step of WITH. What
// joins it sees the rows that it selects; a row that fails is none of them.
type referenceStep struct {
	where  evaluator // nil: all
	evals  []evaluator
	record evaluator // of what evals gave
}

// referenceStep compiles a step that selects from reference data; false: it does
// not.
func (c *compiler) referenceStep(st *saql.Step) (bool, error) {
	if len(st.Query.Selects) != 1 {
		return false, nil
	}
	s := st.Query.Selects[0]
	data := c.reference(s.From.Source)
	if data == nil || len(s.From.Tail) > 0 || len(s.GroupBy) > 0 || hasAggregate(s) || s.Having != nil {
		return false, nil
	}
	if err := c.onlyInputs(s.From.Source); err != nil {
		return false, err
	}
	calls, err := overCalls(s)
	if err != nil {
		return false, err
	}
	if len(calls[0]) > 0 {
		return false, saql.Errorf(calls[0][0].At, "%s of reference data, which has no time", calls[0][0].Name)
	}
	name := entryName(s.From, 0)
	sc := &scope{sources: []source{{name: name, rel: tableRelation{name, data.columns}}}, special: timeless}
	where, err := c.condition(sc, s.Where)
	if err != nil {
		return false, err
	}
	p := &projection{}
	if err := c.items(p, sc, s); err != nil {
		return false, err
	}
	columns := p.star()
	p.arrange(columns)
	step := &referenceStep{where: where.eval, evals: p.evals, record: recordOf(columns)}
	if c.references == nil {
		c.references = make(map[string]*reference)
	}
	c.references[strings.ToLower(st.Name.Text)] = &reference{data.table, append(data.steps[:len(data.steps):len(data.steps)], step), p}
	return true, nil
}

// timeless refuses System.Timestamp() of what has none.
func timeless(e saql.Expr) (*operand, error) {
	if saql.IsSystemTimestamp(e) {
		return nil, saql.Errorf(e.Pos(), "System.Timestamp() of reference data, which has no time")
	}
	return nil, nil
}

// selects makes the record of a row what the steps select of it, false if nothing.
func (r *reference) selects(row *saql.Row) bool {
	for _, st := range r.steps {
		if !st.selects(row) {
			return false
		}
	}
	return true
}

func (st *referenceStep) selects(row *saql.Row) bool {
	if st.where != nil {
		if ok, err := selected(st.where, row); err != nil || !ok {
			return false
		}
	}
	to := saql.Row{Values: make([]saql.Value, len(st.evals))}
	for i, eval := range st.evals {
		v, err := eval(row)
		if err != nil {
			return false
		}
		to.Values[i] = v
	}
	rec, err := st.record(&to)
	row.Values[0] = rec
	return err == nil
}
