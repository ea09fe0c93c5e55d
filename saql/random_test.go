package saql_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-iot/weir/saql"
)

// A treeGen draws random trees of the shapes that Parse gives.
type treeGen struct {
	t    *rapid.T
	size int // what may still be drawn; 0: leaves only
}

func (g *treeGen) n(limit int) int { return rapid.IntRange(0, limit).Draw(g.t, "n") }

func (g *treeGen) bool() bool { return g.n(1) == 1 }

// names holds plain ones, keywords of all sorts, and ones that need quotes.
var names = []string{
	"a", "DeviceId", "_x1", "température", "time", "limit", "when", "WHEN", "all", "order", "left", "top", "timestamp", "partition",
	"System", "Timestamp", "cast", "from", "select", "end", "null", "distinct", "a b", "a.b", "a]b", `a"b`, "1a", "[x]", "-", "'", "--",
}

func (g *treeGen) name() saql.Name {
	text := names[g.n(len(names)-1)]
	return saql.Name{Text: text}
}

func (g *treeGen) maybeName() *saql.Name {
	if g.bool() {
		return nil
	}
	n := g.name()
	return &n
}

// many draws up to three.
func many[T any](g *treeGen, least int, draw func() T) []T {
	var all []T
	for range least + g.n(2) {
		all = append(all, draw())
	}
	return all
}

func (g *treeGen) exprs(least int) []saql.Expr { return many(g, least, g.expr) }

func (g *treeGen) maybe() saql.Expr {
	if g.bool() {
		return nil
	}
	return g.expr()
}

var binaryOps = []saql.Op{
	saql.OpOr, saql.OpAnd, saql.OpEq, saql.OpNe, saql.OpLt, saql.OpLe, saql.OpGt, saql.OpGe,
	saql.OpAdd, saql.OpSub, saql.OpMul, saql.OpDiv, saql.OpMod, saql.OpBitAnd, saql.OpBitOr, saql.OpBitXor,
}

func (g *treeGen) expr() saql.Expr {
	if g.size <= 0 {
		return g.leaf()
	}
	g.size--
	switch g.n(13) {
	case 0, 1, 2:
		return &saql.Binary{Op: binaryOps[g.n(len(binaryOps)-1)], L: g.expr(), R: g.expr()}
	case 3:
		return g.unary()
	case 4:
		return &saql.Between{Not: g.bool(), X: g.expr(), Lo: g.expr(), Hi: g.expr()}
	case 5:
		return &saql.In{Not: g.bool(), X: g.expr(), List: g.exprs(1)}
	case 6:
		return &saql.Like{Not: g.bool(), X: g.expr(), Pattern: g.expr()}
	case 7:
		return &saql.IsNull{Not: g.bool(), X: g.expr()}
	case 8:
		whens := many(g, 1, func() saql.When { return saql.When{Cond: g.expr(), Then: g.expr()} })
		return &saql.Case{Operand: g.maybe(), Whens: whens, Else: g.maybe()}
	case 9:
		return &saql.Cast{Try: g.bool(), X: g.expr(), Type: saql.KindBigint + saql.Kind(g.n(6))}
	case 10, 11:
		return g.call()
	case 12:
		x := g.expr()
		if c, ok := x.(*saql.Column); ok {
			c.Path = append(c.Path, g.name())
			return c
		}
		return &saql.Member{X: x, Name: g.name()}
	default:
		return g.leaf()
	}
}

// unary draws no minus sign before a positive number: Parse makes one literal of them.
func (g *treeGen) unary() saql.Expr {
	op, x := []saql.Op{saql.OpNot, saql.OpSub, saql.OpAdd, saql.OpBitNot}[g.n(3)], g.expr()
	if l, ok := x.(*saql.Literal); ok && op == saql.OpSub {
		switch v := l.Value; {
		case v.Kind() == saql.KindBigint && v.Bigint() >= 0:
			return &saql.Literal{Value: saql.Bigint(-v.Bigint())}
		case v.Kind() == saql.KindFloat:
			return l
		}
	}
	return &saql.Unary{Op: op, X: x}
}

func (g *treeGen) leaf() saql.Expr {
	switch g.n(5) {
	case 0:
		return &saql.Literal{Value: saql.Bigint(rapid.Int64().Draw(g.t, "bigint"))}
	case 1:
		return &saql.Literal{Value: saql.Float(rapid.Float64().Draw(g.t, "float"))}
	case 2:
		return &saql.Literal{Value: saql.String(rapid.String().Draw(g.t, "string"))}
	case 3:
		return &saql.Literal{Value: saql.Null}
	default:
		return &saql.Column{Path: many(g, 1, g.name)}
	}
}

var functions = []string{"f", "COUNT", "System.Timestamp", "udf.f", "uda.my agg", "LEFT", "select", "CAST", "when"}

func (g *treeGen) call() *saql.Call {
	c := &saql.Call{Name: functions[g.n(len(functions)-1)]}
	switch g.n(4) {
	case 0:
		if c.Name == "System.Timestamp" {
			c.Bare = true
			return c
		}
	case 1:
		c.Star = true
	case 2:
		c.Distinct, c.Args = true, g.exprs(1)
	default:
		c.Args = g.exprs(0)
	}
	if g.bool() {
		c.Over = g.over()
	}
	return c
}

func (g *treeGen) over() *saql.Over {
	o := &saql.Over{PartitionBy: g.exprs(0), When: g.maybe()}
	o.OrderBy = many(g, 0, func() saql.Order { return saql.Order{X: g.expr(), Desc: g.bool()} })
	if g.bool() {
		o.Limit = &saql.Limit{Unit: g.name(), N: g.expr()}
	}
	return o
}

func (g *treeGen) item() saql.Item {
	if g.n(4) == 0 {
		return saql.Item{Star: true, Of: many(g, 0, g.name)}
	}
	return saql.Item{Expr: g.expr(), Alias: g.maybeName()}
}

func (g *treeGen) source() saql.Source {
	s := saql.Source{Alias: g.maybeName(), PartitionBy: g.exprs(0)}
	if g.size > 0 && g.n(3) == 0 {
		s.Query = g.query()
	} else {
		s.Name = g.name()
	}
	if s.PartitionBy != nil {
		s.Into = g.n(9)
	}
	if g.bool() {
		// An OVER behind it is that of the source.
		s.TimestampBy, s.Over = &saql.Column{Path: many(g, 1, g.name)}, g.exprs(0)
	}
	return s
}

func (g *treeGen) from() saql.From {
	f := saql.From{Source: g.source()}
	for range g.n(2) {
		if g.bool() {
			f.Tail = append(f.Tail, &saql.Join{Left: g.bool(), Source: g.source(), On: g.expr()})
		} else {
			call := &saql.Call{Name: "GetArrayElements", Args: g.exprs(1)}
			f.Tail = append(f.Tail, &saql.Apply{Outer: g.bool(), Call: call, Alias: g.name()})
		}
	}
	return f
}

func (g *treeGen) query() *saql.Query {
	return &saql.Query{Selects: many(g, 1, func() *saql.Select {
		g.size--
		return &saql.Select{
			Items: many(g, 1, g.item), Into: g.maybeName(), From: g.from(),
			Where: g.maybe(), GroupBy: g.exprs(0), Having: g.maybe(),
		}
	})}
}

func (g *treeGen) script() *saql.Script {
	return &saql.Script{
		Tables: many(g, 0, func() *saql.CreateTable {
			return &saql.CreateTable{Name: g.name(), Columns: many(g, 1, func() saql.TableColumn {
				return saql.TableColumn{Name: g.name(), Type: saql.KindBigint + saql.Kind(g.n(6))}
			})}
		}),
		Steps:   many(g, 0, func() *saql.Step { return &saql.Step{Name: g.name(), Query: g.query()} }),
		Queries: many(g, 1, g.query),
	}
}

// TestRandomTrees prints random scripts and reads them back. Whatever the
// script, Check does not panic.
func TestRandomTrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := &treeGen{t: rt, size: rapid.IntRange(0, 30).Draw(rt, "size")}
		s := g.script()
		text := s.String()
		again, err := saql.Parse(text)
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		if diff := diffTrees(s, again); diff != "" {
			rt.Fatalf("printed (-) and read (+):\n%s\n%s", diff, text)
		}
		saql.Check(s, env)
	})
}

// FuzzParse: whatever the text, no panic, and what parses prints and parses to
// the same tree.
func FuzzParse(f *testing.F) {
	for _, src := range []string{
		"SELECT a FROM b",
		"WITH s AS (SELECT *, x.* FROM i TIMESTAMP BY t) SELECT AVG(a) OVER (LIMIT DURATION (hour, 1)) AS [b c] INTO o FROM s GROUP BY System.Timestamp",
		"CREATE TABLE i (a bigint, b nvarchar(max)); SELECT CASE WHEN a = -1.5e3 THEN 'x''y' ELSE NOT b END FROM i JOIN j ON 1 BETWEEN 0 AND 2",
		"SELECT /* /* */ */ - -9223372036854775808, (a).b.c, f(*, 2).d FROM [x]]y] CROSS APPLY GetArrayElements(a) AS \"e\" -- end",
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if e, err := saql.ParseExpr(src); err == nil {
			saql.ExprString(e)
		}
		s, err := saql.Parse(src)
		if err != nil {
			return
		}
		checkRoundTrip(t, s)
		saql.Check(s, env)
	})
}
