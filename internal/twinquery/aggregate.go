package twinquery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// MaxGroups bounds the groups of one query, and with them its memory.
const MaxGroups = 10_000

// ErrTooManyGroups ends a query whose GROUP BY makes more than MaxGroups rows.
var ErrTooManyGroups = errors.New("twinquery: GROUP BY makes more than 10000 groups: group by a property with fewer values, or narrow WHERE")

var aggregateNames = []string{"COUNT", "AVG", "SUM", "MIN", "MAX"}

func isAggregate(name string) bool { return slices.Contains(aggregateNames, name) }

func checkAggregateArity(c *Call) error {
	n := len(c.Args)
	if n == 1 || n == 0 && c.Name == "COUNT" {
		return nil
	}
	return &syntaxError{c.Pos, fmt.Sprintf("%s takes one argument, found %d", c.Name, n)}
}

// Groups makes the rows of a query that Aggregates.
type Groups struct {
	q  *Query
	by map[string]*group
}

// A group is one row in the making; items has an aggregator or a value for
// each item of the query.
type group struct{ items []aggregator }

// NewGroups returns the groups of no documents.
func (q *Query) NewGroups() *Groups {
	g := &Groups{q: q, by: map[string]*group{}}
	if q.GroupBy == nil { // one row even of nothing
		g.by[""] = g.start()
	}
	return g
}

func (g *Groups) start() *group {
	n := &group{make([]aggregator, len(g.q.Items))}
	for i, item := range g.q.Items {
		if c, ok := item.Expr.(*Call); ok && isAggregate(c.Name) {
			n.items[i] = newAggregator(c)
		} else {
			n.items[i] = &first{x: item.Expr, v: Undefined}
		}
	}
	return n
}

// Add counts a document that matched.
func (g *Groups) Add(doc map[string]any) error {
	e := env{doc}
	var key []byte
	for _, path := range g.q.GroupBy {
		key = appendKey(key, path.eval(e))
	}
	to := g.by[string(key)]
	if to == nil {
		if len(g.by) == MaxGroups {
			return ErrTooManyGroups
		}
		to = g.start()
		g.by[string(key)] = to
	}
	for _, a := range to.items {
		a.add(e)
	}
	return nil
}

// appendKey writes a value so that equal values are equal bytes.
func appendKey(b []byte, v any) []byte {
	if isUndefined(v) {
		return append(b, 0)
	}
	if f, ok := number(v); ok {
		v = f
	}
	return append(appendJSON(b, v), 0)
}

// Rows returns the rows in the order of their group's values.
func (g *Groups) Rows() [][]byte {
	rows := make([][]byte, 0, len(g.by))
	for _, key := range slices.Sorted(maps.Keys(g.by)) {
		items := g.by[key].items
		rows = append(rows, g.q.row(func(i int) any { return items[i].result() }))
		if len(rows) == g.q.Top {
			break
		}
	}
	return rows
}

type aggregator interface {
	add(env)
	result() any
}

func newAggregator(c *Call) aggregator {
	var x Expr = &Literal{true}
	if len(c.Args) == 1 {
		x = c.Args[0]
	}
	switch c.Name {
	case "COUNT":
		return &count{x: x}
	case "MIN":
		return &extreme{x: x, sign: -1, best: Undefined}
	case "MAX":
		return &extreme{x: x, sign: 1, best: Undefined}
	default:
		return &sum{x: x, mean: c.Name == "AVG"}
	}
}

// first is the value of a property that all of a group share.
type first struct {
	x    Expr
	v    any
	seen bool
}

func (a *first) add(e env) {
	if !a.seen {
		a.v, a.seen = a.x.eval(e), true
	}
}
func (a *first) result() any { return a.v }

// count counts where x is defined.
type count struct {
	x Expr
	n int
}

func (a *count) add(e env) {
	if !isUndefined(a.x.eval(e)) {
		a.n++
	}
}
func (a *count) result() any { return float64(a.n) }

// sum adds numbers and passes over everything else.
type sum struct {
	x    Expr
	mean bool
	f    float64
	n    int
}

func (a *sum) add(e env) {
	if f, ok := number(a.x.eval(e)); ok {
		a.f += f
		a.n++
	}
}

func (a *sum) result() any {
	switch {
	case !a.mean:
		return finite(a.f)
	case a.n == 0:
		return Undefined
	}
	return finite(a.f / float64(a.n))
}

// extreme is the smallest or largest primitive value; types are ordered null,
// boolean, number, string.
type extreme struct {
	x    Expr
	sign int
	best any
}

func (a *extreme) add(e env) {
	v := a.x.eval(e)
	if !isPrimitive(v) {
		return
	}
	order, ok := compare(v, a.best)
	if !ok {
		order = typeOf(v) - typeOf(a.best)
	}
	if isUndefined(a.best) || order*a.sign > 0 {
		a.best = v
	}
}
func (a *extreme) result() any { return a.best }
