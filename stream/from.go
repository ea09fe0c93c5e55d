package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
)

// from compiles what a SELECT reads, with the functions OVER (…) in front of its
// WHERE: their scope, and the node that gives the rows.
func (c *compiler) from(s *saql.Select) (*scope, *node, error) {
	calls, err := overCalls(s)
	if err != nil {
		return nil, nil, err
	}
	sc, n, err := c.entry(s.From.Source, calls[0])
	if err != nil {
		return nil, nil, err
	}
	for i, item := range s.From.Tail {
		switch item := item.(type) {
		case *saql.Join:
			sc, n, err = c.join(sc, n, item, calls[i+1])
		case *saql.Apply:
			if sc, n, err = c.apply(sc, n, item); err == nil {
				sc, n, err = c.analytic(sc, n, calls[i+1])
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return sc, n, nil
}

// entry compiles a stream of FROM and the functions OVER (…) that read it alone.
func (c *compiler) entry(s saql.Source, calls []*saql.Call) (*scope, *node, error) {
	src, n, err := c.source(s)
	if err != nil {
		return nil, nil, err
	}
	return c.analytic(&scope{sources: []source{src}}, n, calls)
}

// source compiles an input, a step or a query in parentheses.
func (c *compiler) source(s saql.Source) (source, *node, error) {
	name := s.Name.Text
	if s.Alias != nil {
		name = s.Alias.Text
	}
	if s.Query != nil {
		compiled, err := c.query(s.Query)
		if err == nil {
			err = c.onlyInputs(s)
		}
		return source{name: name, rel: compiled.rel}, compiled.node, err
	}
	if st, ok := c.steps[strings.ToLower(s.Name.Text)]; ok {
		return source{name: name, rel: st.rel}, st.node, c.onlyInputs(s)
	}
	in, err := c.stream(s)
	if err != nil {
		return source{}, nil, err
	}
	return source{name: name, rel: in}, in.node, nil
}

// onlyInputs refuses TIMESTAMP BY where rows have a time already.
func (c *compiler) onlyInputs(s saql.Source) error {
	if s.TimestampBy == nil {
		return nil
	}
	err := saql.Errorf(s.TimestampBy.Pos(), "TIMESTAMP BY of a result of a query, whose rows have a time")
	err.Hint = "write TIMESTAMP BY where the input is read"
	return err
}

// stream compiles an input that is a stream. Sources that read it alike share it.
func (c *compiler) stream(s saql.Source) (*inputPlan, error) {
	if c.reference(s) != nil {
		err := saql.Errorf(s.At, "%s is reference data, which is no stream", s.Name.Text)
		err.Hint = "read a stream and JOIN " + s.Name.Text
		return nil, err
	}
	alias, _, err := c.input(s.Name)
	if err != nil {
		return nil, err
	}
	in := &inputPlan{InputPlan: InputPlan{Alias: alias}, implicit: c.env.Implicit}
	for _, t := range c.tables {
		if sameName(t.Name.Text, in.Alias) {
			in.Table = t.Columns
		}
	}
	if err := c.timestamp(in, s); err != nil {
		return nil, err
	}
	for _, other := range c.inputs {
		if sameName(other.Alias, in.Alias) && other.clause == in.clause {
			return other, nil
		}
	}
	in.node = c.add(&node{text: "input " + in.Alias + timestampText(s), perPartition: true})
	c.inputs = append(c.inputs, in)
	return in, nil
}

// timestamp compiles TIMESTAMP BY and OVER.
func (c *compiler) timestamp(in *inputPlan, s saql.Source) error {
	if s.TimestampBy == nil {
		return nil
	}
	alias := in.Alias
	if s.Alias != nil {
		alias = s.Alias.Text
	}
	sc := &scope{sources: []source{{name: alias, rel: in}}, special: noTimestamp}
	by, err := c.expr(sc, s.TimestampBy)
	if err != nil {
		return err
	}
	in.Timestamp = toDatetime(by.eval, s.TimestampBy.Pos())
	in.clause = " timestamp by " + c.canonical(sc, s.TimestampBy)
	for i, key := range s.Over {
		over, err := c.expr(sc, key)
		if err != nil {
			return err
		}
		in.Over = append(in.Over, over.eval)
		in.clause += []string{" over ", ", "}[min(i, 1)] + c.canonical(sc, key)
	}
	return nil
}

func timestampText(s saql.Source) string {
	if s.TimestampBy == nil {
		return ""
	}
	text := " timestamp by " + saql.ExprString(s.TimestampBy)
	for i, key := range s.Over {
		text += []string{" over ", ", "}[min(i, 1)] + saql.ExprString(key)
	}
	return text
}

// noTimestamp refuses System.Timestamp() where it is not known yet.
func noTimestamp(e saql.Expr) (*operand, error) {
	if saql.IsSystemTimestamp(e) {
		return nil, saql.Errorf(e.Pos(), "System.Timestamp() within TIMESTAMP BY, which sets it")
	}
	return nil, nil
}
