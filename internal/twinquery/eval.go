package twinquery

import (
	"math"
	"slices"
	"strings"
)

// env is what an expression sees: one document as json.Decoder with UseNumber
// makes it.
type env struct{ doc map[string]any }

// Match says whether doc is selected: the condition is true, neither false nor
// undefined.
func (q *Query) Match(doc map[string]any) bool {
	return q.Where == nil || q.Where.eval(env{doc}) == true
}

// Row returns the row of a document that matched, for a query that is neither
// Whole nor Aggregates: a JSON object with the fields in the order of the
// query, without those that are undefined.
func (q *Query) Row(doc map[string]any) []byte {
	return q.row(func(i int) any { return q.Items[i].Expr.eval(env{doc}) })
}

func (q *Query) row(value func(i int) any) []byte {
	b := []byte{'{'}
	for i, name := range q.fields {
		v := value(i)
		if isUndefined(v) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendJSON(b, name)
		b = append(b, ':')
		b = appendJSON(b, v)
	}
	return append(b, '}')
}

func (l *Literal) eval(env) any { return l.Value }

func (path *Path) eval(e env) any {
	steps := path.Steps[path.root:]
	v, ok := field(e.doc, steps[0].Name)
	if !ok {
		return Undefined
	}
	for _, s := range steps[1:] {
		if v, ok = s.of(v); !ok {
			return Undefined
		}
	}
	return v
}

// field returns a property of the twin itself, whose names IoT Hub takes in
// any case (its documentation writes LastActivityTime).
func field(doc map[string]any, name string) (any, bool) {
	if v, ok := doc[name]; ok {
		return v, true
	}
	for k, v := range doc {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}

func (s Step) of(v any) (any, bool) {
	if s.IsIndex {
		a, _ := v.([]any)
		if s.Index >= len(a) {
			return nil, false
		}
		return a[s.Index], true
	}
	m, _ := v.(map[string]any)
	v, ok := m[s.Name]
	return v, ok
}

func (a *Array) eval(e env) any {
	list := make([]any, 0, len(a.Items))
	for _, x := range a.Items {
		if v := x.eval(e); !isUndefined(v) {
			list = append(list, v)
		}
	}
	return list
}

func (u *Unary) eval(e env) any {
	v := u.X.eval(e)
	if u.Op == "NOT" {
		if b, ok := v.(bool); ok {
			return !b
		}
		return Undefined
	}
	f, ok := number(v)
	switch {
	case !ok:
		return Undefined
	case u.Op == "-":
		return -f
	default:
		return f
	}
}

func (b *Binary) eval(e env) any {
	switch b.Op {
	case "AND":
		return decide(b.X, b.Y, e, false)
	case "OR":
		return decide(b.X, b.Y, e, true)
	case "+", "-", "*", "/", "%":
		return arithmetic(b.Op, b.X.eval(e), b.Y.eval(e))
	}
	x, y := b.X.eval(e), b.Y.eval(e)
	switch b.Op {
	case "=":
		return equal(x, y)
	case "!=":
		if v, ok := equal(x, y).(bool); ok {
			return !v
		}
		return Undefined
	}
	order, ok := compare(x, y)
	if !ok {
		return Undefined
	}
	switch b.Op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// decide is AND or OR of three values: one side that decides is enough, else
// what is no boolean makes the whole undefined.
func decide(x, y Expr, e env, decisive bool) any {
	a := x.eval(e)
	if a == decisive {
		return decisive
	}
	b := y.eval(e)
	if b == decisive {
		return decisive
	}
	if a == !decisive && b == !decisive {
		return !decisive
	}
	return Undefined
}

func arithmetic(op string, x, y any) any {
	a, okA := number(x)
	b, okB := number(y)
	if !okA || !okB {
		return Undefined
	}
	switch op {
	case "+":
		return finite(a + b)
	case "-":
		return finite(a - b)
	case "*":
		return finite(a * b)
	case "/":
		return finite(a / b)
	default:
		return finite(math.Mod(a, b))
	}
}

func (in *In) eval(e env) any {
	x := in.X.eval(e)
	list, ok := in.List.eval(e).([]any)
	if !ok || isUndefined(x) {
		return Undefined
	}
	found := slices.ContainsFunc(list, func(v any) bool { return equal(x, v) == true })
	return found != in.Not
}

func (c *Call) eval(e env) any {
	args := make([]any, len(c.Args))
	for i, x := range c.Args {
		args[i] = x.eval(e)
	}
	return functions[canonical(c.Name)].eval(args)
}
