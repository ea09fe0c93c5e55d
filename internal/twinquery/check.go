package twinquery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// check refuses what parses but has no meaning, and resolves paths that begin
// with the collection's name.
func check(q *Query) error {
	for _, path := range q.GroupBy {
		q.resolve(path)
	}
	for _, item := range q.Items {
		c, ok := item.Expr.(*Call)
		q.aggregates = q.aggregates || ok && isAggregate(c.Name)
	}
	q.aggregates = q.aggregates || q.GroupBy != nil
	if q.Items == nil && q.GroupBy != nil {
		return &syntaxError{q.GroupBy[0].Pos, "GROUP BY needs a list after SELECT, not *"}
	}
	if q.Where != nil {
		if err := q.walk(q.Where, noAggregate("WHERE")); err != nil {
			return err
		}
	}
	for _, item := range q.Items {
		if err := q.checkItem(item.Expr); err != nil {
			return err
		}
	}
	return q.checkNames()
}

func (q *Query) checkItem(x Expr) error {
	if c, ok := x.(*Call); ok && isAggregate(c.Name) {
		for _, arg := range c.Args {
			if err := q.walk(arg, noAggregate(c.Name)); err != nil {
				return err
			}
		}
		return nil
	}
	return q.walk(x, func(x Expr) error {
		path, ok := x.(*Path)
		if ok && q.aggregates && !slices.ContainsFunc(q.GroupBy, path.same) {
			return &syntaxError{path.Pos, fmt.Sprintf("%s must stand in GROUP BY or within COUNT, AVG, SUM, MIN or MAX", path.text())}
		}
		return noAggregate("an expression")(x)
	})
}

func noAggregate(place string) func(Expr) error {
	return func(x Expr) error {
		if c, ok := x.(*Call); ok && isAggregate(c.Name) {
			return &syntaxError{c.Pos, fmt.Sprintf("%s cannot stand within %s: only alone in the list after SELECT", c.Name, place)}
		}
		return nil
	}
}

// checkNames names the fields and refuses two fields of one name, as a JSON object holds one.
func (q *Query) checkNames() error {
	q.fields = q.names()
	seen := map[string]bool{}
	for i, name := range q.fields {
		if seen[name] {
			return &syntaxError{posOf(q.Items[i].Expr), "two fields of the row would be called " + quote(name) + ": give one of them another name with AS"}
		}
		seen[name] = true
	}
	return nil
}

func posOf(x Expr) Pos {
	switch x := x.(type) {
	case *Path:
		return x.Pos
	case *Call:
		return x.Pos
	}
	return 0
}

// names are the names of the row's fields: the alias, else the last name of a
// path, else $1, $2 ….
func (q *Query) names() []string {
	names := make([]string, len(q.Items))
	unnamed := 0
	for i, item := range q.Items {
		path, ok := item.Expr.(*Path)
		switch {
		case item.As != "":
			names[i] = item.As
		case ok && path.Steps[len(path.Steps)-1].Name != "":
			names[i] = path.Steps[len(path.Steps)-1].Name
		default:
			unnamed++
			names[i] = "$" + strconv.Itoa(unnamed)
		}
	}
	return names
}

// walk resolves every path in x and calls f with every expression, outer first.
func (q *Query) walk(x Expr, f func(Expr) error) error {
	if path, ok := x.(*Path); ok {
		q.resolve(path)
	}
	if err := f(x); err != nil {
		return err
	}
	for _, sub := range operands(x) {
		if err := q.walk(sub, f); err != nil {
			return err
		}
	}
	return nil
}

func operands(x Expr) []Expr {
	switch x := x.(type) {
	case *Array:
		return x.Items
	case *Unary:
		return []Expr{x.X}
	case *Binary:
		return []Expr{x.X, x.Y}
	case *In:
		return []Expr{x.X, x.List}
	case *Call:
		return x.Args
	}
	return nil
}

// resolve skips the steps of a path that name the collection: devices.status
// and d.status are status.
func (q *Query) resolve(path *Path) {
	roots := [][]string{strings.Split(string(q.From), "."), {string(Devices)}}
	if q.Alias != "" {
		roots = append([][]string{{q.Alias}}, roots...)
	}
	for _, root := range roots {
		if n := len(root); len(path.Steps) > n && !path.Steps[n].IsIndex && path.hasPrefix(root) {
			path.root = n
			return
		}
	}
}

func (path *Path) hasPrefix(names []string) bool {
	for i, name := range names {
		if !strings.EqualFold(path.Steps[i].Name, name) {
			return false
		}
	}
	return true
}

// same says that two paths lead to one value; the case of a twin's own
// property does not count.
func (path *Path) same(other *Path) bool {
	a, b := path.Steps[path.root:], other.Steps[other.root:]
	return strings.EqualFold(a[0].Name, b[0].Name) && slices.Equal(a[1:], b[1:])
}

func (path *Path) text() string {
	p := &printer{}
	path.print(p, precPrimary)
	return quote(p.String())
}
