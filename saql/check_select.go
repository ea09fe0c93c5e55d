package saql

import (
	"fmt"
	"strings"
)

// ColumnName is what an item, at place i of its list, is called: by its alias,
// else as its column or its last field, else as its function in lower case, else
// after its place.
func (it Item) ColumnName(i int) string {
	if it.Alias != nil {
		return it.Alias.Text
	}
	switch e := it.Expr.(type) {
	case *Column:
		return e.Path[len(e.Path)-1].Text
	case *Member:
		return e.Name.Text
	case *Call:
		return strings.ToLower(e.Name[strings.LastIndex(e.Name, ".")+1:])
	case *Cast:
		return strings.ToLower(choose(e.Try, "try_cast", "cast"))
	default:
		return fmt.Sprintf("column%d", i+1)
	}
}

// selectClause checks a SELECT and returns its columns.
func (c *checker) selectClause(s *Select) relation {
	sc := c.from(&s.From)
	grouped := s.GroupBy != nil
	if s.Where != nil {
		c.expr(s.Where, place{scope: sc, clause: "WHERE"})
	}
	c.groupBy(s, sc)
	out := relation{known: sc.sources[0].known, reference: sc.sources[0].reference && !grouped}
	for i, it := range s.Items {
		if it.Star {
			c.star(s, sc, it, &out)
			continue
		}
		c.expr(it.Expr, place{scope: sc, clause: "SELECT", grouped: grouped})
		out.columns = append(out.columns, it.ColumnName(i))
	}
	if s.Having != nil {
		c.expr(s.Having, place{scope: sc, clause: "HAVING", grouped: grouped})
	}
	if grouped {
		c.ungrouped(s, sc)
	}
	return out
}

// star checks * and adds what it gives to the columns of out.
func (c *checker) star(s *Select, sc *scope, it Item, out *relation) {
	switch {
	case s.GroupBy != nil:
		c.fail(it.At, "SELECT * with GROUP BY").Hint = "list the keys and the aggregates"
	case it.Of != nil:
		r, ok := sc.source(it.Of[0].Text)
		if ok && len(it.Of) == 1 {
			out.columns, out.open = append(out.columns, r.columns...), out.open || r.open
			return
		}
		c.column(&Column{At: it.At, Path: it.Of}, sc)
		out.open = true
	case hasJoin(s):
		c.fail(it.At, "SELECT * with JOIN").Hint = "write " + nameText(sc.sources[0].name) + ".* or list the columns"
		out.open = true
	default:
		out.columns, out.open = append(out.columns, sc.columns()...), out.open || sc.open()
	}
}

func hasJoin(s *Select) bool {
	for _, it := range s.From.Tail {
		if _, ok := it.(*Join); ok {
			return true
		}
	}
	return false
}

// groupBy checks the keys and the window of GROUP BY.
func (c *checker) groupBy(s *Select, sc *scope) {
	if s.GroupBy == nil {
		return
	}
	w, keys, err := s.Window()
	switch {
	case err != nil:
		c.report(err)
	case w.Kind == 0:
		c.fail(s.GroupBy[0].Pos(), "GROUP BY without a window").Hint = "add TumblingWindow(second, 10) or System.Timestamp()"
	}
	for _, k := range append(keys, w.PartitionBy...) {
		c.expr(k, place{scope: sc, clause: "GROUP BY"})
	}
}

// A grouping finds columns of SELECT and HAVING that are neither keys nor within
// an aggregate: a group has many values of them.
type grouping struct {
	c        *checker
	scope    *scope
	keys     map[string]bool // in normal form
	computed bool            // some keys are no columns
	aliases  []string        // of the items
	keyAlias string          // one that GROUP BY names, "" if it names none
}

func (c *checker) ungrouped(s *Select, sc *scope) {
	g := grouping{c: c, scope: sc, keys: make(map[string]bool)}
	for _, k := range s.GroupBy {
		g.keys[sc.normal(k)] = true
		if _, plain := k.(*Column); !plain {
			g.computed = g.computed || !isWindow(k)
		}
	}
	for _, it := range s.Items {
		if _, plain := it.Expr.(*Column); it.Alias != nil && !plain {
			g.aliases = append(g.aliases, it.Alias.Text)
			if g.keys[sc.normal(&Column{Path: []Name{*it.Alias}})] {
				g.keyAlias = it.Alias.Text
			}
		}
	}
	for _, it := range s.Items {
		Walk(it.Expr, g.visit)
	}
	Walk(s.Having, g.visit)
}

func (g *grouping) visit(e Expr) bool {
	if g.computed && g.keys[g.scope.normal(e)] {
		return false
	}
	switch e := e.(type) {
	case *Column:
		g.column(e)
	case *Call:
		if isAggregate(e) || e.Over != nil {
			return false
		}
		if takesUnit(e.Name) && len(e.Args) > 0 {
			for _, arg := range e.Args[1:] {
				Walk(arg, g.visit)
			}
			return false
		}
	}
	return true
}

// column fails unless the column, or the record that it is a field of, is a key.
func (g *grouping) column(col *Column) {
	path := g.scope.unqualified(col.Path)
	for n := range path {
		if g.keys[g.scope.normal(&Column{Path: path[:n+1]})] {
			return
		}
	}
	text := ExprString(col)
	err := g.c.fail(col.At, "column %s is neither in GROUP BY nor in an aggregate", text)
	switch {
	case len(path) == 1 && hasName(g.aliases, path[0].Text):
		err.Hint = text + " is an alias, write its expression"
	case g.keyAlias != "":
		err.Hint = "GROUP BY names the alias " + g.keyAlias + ", write its expression there"
	}
}
