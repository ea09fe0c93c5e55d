package saql

import (
	"cmp"
	"slices"
	"strings"
)

// Env is what a script may name. Names are the same in any case.
type Env struct {
	Inputs     []string // streams; nil: any name may be one
	References []string // reference data
	Outputs    []string // nil: any name may be one
	Functions  []string // of the user, with their prefix: udf.f, uda.g; nil: any
}

// Check finds what is wrong with a script before it runs: names that nothing
// has, functions that get wrong arguments, clauses where they may not be, types
// that cannot go together. It returns all errors, each an *Error, in the order
// of their places. Payloads have no schema: only columns of CREATE TABLE and of
// steps that list theirs are known, and no others are checked.
func Check(s *Script, env Env) []error {
	c := &checker{env: env, tables: make(map[string]*CreateTable), steps: make(map[string]relation)}
	c.script(s)
	slices.SortStableFunc(c.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	errs := make([]error, len(c.errs))
	for i, err := range c.errs {
		errs[i] = err
	}
	return errs
}

type checker struct {
	env    Env
	tables map[string]*CreateTable // by name in lower case
	steps  map[string]relation     // that are complete, by name in lower case
	later  []string                // steps that are not
	errs   []*Error
}

// A relation is what FROM names: its columns, as far as they are known.
type relation struct {
	name      string
	columns   []string
	open      bool // it may have others
	step      bool // a step or a query
	reference bool // it has no time
	known     bool // that it is a stream or reference data
}

func (c *checker) fail(at Pos, format string, args ...any) *Error {
	err := Errorf(at, format, args...)
	c.errs = append(c.errs, err)
	return err
}

// failHint is fail with a hint, or with the candidate nearest to a word.
func (c *checker) failNear(at Pos, word string, candidates []string, format string, args ...any) *Error {
	err := c.fail(at, format, args...)
	if near := Nearest(word, candidates); near != "" {
		err.Hint = "did you mean " + near + "?"
	}
	return err
}

// report adds an error that another function made.
func (c *checker) report(err error) {
	if e, ok := err.(*Error); ok {
		c.errs = append(c.errs, e)
	}
}

func hasName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

func (c *checker) script(s *Script) {
	for _, t := range s.Tables {
		c.table(t)
	}
	for _, st := range s.Steps {
		c.later = append(c.later, st.Name.Text)
	}
	for _, st := range s.Steps {
		key := strings.ToLower(st.Name.Text)
		if _, twice := c.steps[key]; twice {
			c.fail(st.Name.At, "two steps are called %s", st.Name.Text)
		}
		r := c.query(st.Query, true)
		r.name, r.step = st.Name.Text, true
		c.later = c.later[1:]
		c.steps[key] = r
	}
	for _, q := range s.Queries {
		c.query(q, false)
	}
}

func (c *checker) table(t *CreateTable) {
	key := strings.ToLower(t.Name.Text)
	if c.tables[key] != nil {
		c.fail(t.Name.At, "two tables are called %s", t.Name.Text)
	}
	c.tables[key] = t
	if c.env.Inputs != nil && !hasName(c.env.Inputs, t.Name.Text) && !hasName(c.env.References, t.Name.Text) {
		c.unknownInput(t.Name, slices.Concat(c.env.Inputs, c.env.References), "input")
	}
	var names []string
	for _, col := range t.Columns {
		if hasName(names, col.Name.Text) {
			c.fail(col.Name.At, "two columns are called %s", col.Name.Text)
		}
		names = append(names, col.Name.Text)
	}
}

// listed tells what names there are, if they are few.
func listed(names []string) string {
	switch {
	case len(names) == 0 || len(names) > 8:
		return ""
	case len(names) == 1:
		return "there is " + names[0]
	default:
		return "there are " + strings.Join(names, ", ")
	}
}

// unknownInput tells a source that is none of the candidates.
func (c *checker) unknownInput(n Name, candidates []string, what string) {
	if hasName(c.later, n.Text) {
		c.fail(n.At, "step %s is not defined yet", n.Text).Hint = "a step reads only steps before it"
		return
	}
	err := c.failNear(n.At, n.Text, candidates, "unknown %s %s", what, n.Text)
	if err.Hint == "" {
		err.Hint = listed(candidates)
	}
}

// query checks all SELECTs of a query; inner: of a step or of one in FROM. It
// returns what they give.
func (c *checker) query(q *Query, inner bool) relation {
	r := relation{step: true, known: true, reference: true}
	for _, s := range q.Selects {
		if s.Into != nil {
			c.into(*s.Into, inner)
		}
		each := c.selectClause(s)
		r.columns = append(r.columns, each.columns...)
		r.open = r.open || each.open
		r.known = r.known && each.known
		r.reference = r.reference && each.reference
	}
	return r
}

func (c *checker) into(n Name, inner bool) {
	switch {
	case inner:
		c.fail(n.At, "INTO inside of another query").Hint = "write it in a SELECT after WITH"
	case c.env.Outputs != nil && !hasName(c.env.Outputs, n.Text):
		c.failNear(n.At, n.Text, c.env.Outputs, "unknown output %s", n.Text)
	}
}
