package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// A grouping is a GROUP BY that is being compiled. Its rows hold the keys, then
// the results of the aggregates, then what System.Window() is.
type grouping struct {
	c        *compiler
	rows     *scope // of the rows that are grouped
	keys     []*operand
	keyTexts []string // canonical
	calls    []*aggregateCall
}

// grouped compiles a SELECT with GROUP BY: WHERE, a node for each window, then
// HAVING and the columns.
func (c *compiler) grouped(sc *scope, from *node, s *saql.Select) (step, error) {
	w, keys, err := s.Window()
	if err != nil {
		return step{}, err
	}
	if w.Kind == 0 {
		return step{}, noWindow(s)
	}
	where, err := c.condition(sc, s.Where)
	if err != nil {
		return step{}, err
	}
	g := &grouping{c: c, rows: sc}
	for _, e := range keys {
		op, err := c.expr(sc, e)
		if err != nil {
			return step{}, err
		}
		g.keys = append(g.keys, op)
		g.keyTexts = append(g.keyTexts, c.canonical(sc, e))
	}
	p := &projection{}
	if err := c.items(p, g.scope(), s); err != nil {
		return step{}, err
	}
	having, err := c.condition(g.scope(), s.Having)
	if err != nil {
		return step{}, err
	}
	nodes, err := g.nodes(w, c.filter(from, where), keys)
	if err != nil {
		return step{}, err
	}
	return step{c.project(p, nodes, s, having), p}, nil
}

func noWindow(s *saql.Select) error {
	at := s.At
	if len(s.GroupBy) > 0 {
		at = s.GroupBy[0].Pos()
	}
	err := saql.Errorf(at, "a window must be specified")
	err.Hint = "add one such as TumblingWindow(minute, 1) to GROUP BY"
	return err
}

// nodes adds the node of a window; of Windows(…) one for each, and what unites them.
func (g *grouping) nodes(w saql.Window, from *node, keys []saql.Expr) (*node, error) {
	if w.Kind != saql.WindowUnion {
		return g.node(w, from, keys)
	}
	var all []*node
	for _, each := range w.List {
		n, err := g.node(each, from, keys)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	n := &node{text: "union of windows", perPartition: true}
	n.build = func(Failure) Operator { return passOn{} }
	return g.c.add(n, all...), nil
}

func (g *grouping) node(w saql.Window, from *node, keys []saql.Expr) (*node, error) {
	sessions, err := g.c.exprs(g.rows, w.PartitionBy)
	if err != nil {
		return nil, err
	}
	n := &node{text: g.text(w, keys), reach: windowReach(w)}
	n.perPartition = keyedByPartition(g.rows, keys)
	if w.Kind == saql.WindowSession {
		n.perPartition = keyedByPartition(g.rows, w.PartitionBy)
	}
	n.state = func() string {
		s := fmt.Sprintf("%s of %q by %q", windowText(w), sourceNames(g.rows), g.keyTexts)
		for _, call := range g.calls {
			s += " " + call.text
		}
		for _, e := range w.PartitionBy {
			s += " session " + g.c.canonical(g.rows, e)
		}
		return s
	}
	n.build = func(fail Failure) Operator {
		gr := newGrouper(g, w, fail)
		switch w.Kind {
		case saql.WindowSliding:
			return newSliding(gr, w)
		case saql.WindowSession:
			return newSession(gr, w, sessions)
		default:
			return newHopping(gr, w)
		}
	}
	return g.c.add(n, from), nil
}

// text describes keys, window and aggregates.
func (g *grouping) text(w saql.Window, keys []saql.Expr) string {
	text := "group by "
	for _, key := range keys {
		text += saql.ExprString(key) + ", "
	}
	text += windowText(w)
	for i, call := range g.calls {
		text += []string{": ", ", "}[min(i, 1)] + saql.ExprString(call.call)
	}
	return text
}

// scope is what names mean behind GROUP BY: columns are those of the keys.
func (g *grouping) scope() *scope {
	return &scope{sources: g.rows.sources, special: g.special, refuse: func(col *saql.Column) error {
		name := col.Path[len(col.Path)-1].Text
		err := saql.Errorf(col.At, "column %s is neither in GROUP BY nor in an aggregate", name)
		err.Hint = "add it to GROUP BY"
		return err
	}}
}

// special compiles keys, aggregates and System.Window().
func (g *grouping) special(e saql.Expr) (*operand, error) {
	if call, ok := e.(*saql.Call); ok {
		switch {
		case isAggregate(call.Name) && !isAnalytic(call):
			return g.aggregate(call)
		case strings.EqualFold(call.Name, "System.Window"):
			return &operand{eval: lastValue}, nil
		case saql.IsSystemTimestamp(e):
			return nil, nil // the window's end, also where it is a key
		}
	}
	if i := slices.Index(g.keyTexts, g.c.canonical(g.rows, e)); i >= 0 {
		return located(ref{slot: i}), nil
	}
	return g.field(e), nil
}

// field compiles a field of a key that is a record.
func (g *grouping) field(e saql.Expr) *operand {
	col, ok := e.(*saql.Column)
	if !ok {
		return nil
	}
	for n := len(col.Path) - 1; n > 0; n-- {
		key := g.c.canonical(g.rows, &saql.Column{At: col.At, Path: col.Path[:n]})
		if i := slices.Index(g.keyTexts, key); i >= 0 {
			return located(ref{slot: i}.in(col.Path[n:]))
		}
	}
	return nil
}

// lastValue evaluates to the last value of a group's row.
func lastValue(row *saql.Row) (saql.Value, error) { return row.Values[len(row.Values)-1], nil }

// aggregate returns where the result of a call is; equal calls are one.
func (g *grouping) aggregate(call *saql.Call) (*operand, error) {
	text := g.c.canonical(g.rows, call)
	i := slices.IndexFunc(g.calls, func(o *aggregateCall) bool { return o.text == text })
	if i < 0 {
		a, err := g.c.aggregate(g.rows, call)
		if err != nil {
			return nil, err
		}
		i = len(g.calls)
		g.calls = append(g.calls, a)
	}
	return located(ref{slot: len(g.keys) + i}), nil
}

// hasAggregate tells whether the columns or HAVING of a SELECT aggregate.
func hasAggregate(s *saql.Select) bool {
	found := false
	look := func(e saql.Expr) bool {
		call, ok := e.(*saql.Call)
		found = found || ok && isAggregate(call.Name) && !isAnalytic(call)
		return !found
	}
	for _, it := range s.Items {
		saql.Walk(it.Expr, look)
	}
	saql.Walk(s.Having, look)
	return found
}

// A passOn passes on the rows of all its ports.
type passOn struct{ stateless }

func (passOn) Process(_ int, row *saql.Row, emit Emit) error { return emit(row) }
