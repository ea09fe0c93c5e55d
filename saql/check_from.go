package saql

import (
	"slices"
	"strings"
)

// A scope is what the names of one SELECT mean.
type scope struct {
	sources []relation
}

// source returns the source of that name.
func (sc *scope) source(name string) (relation, bool) {
	for _, r := range sc.sources {
		if strings.EqualFold(r.name, name) {
			return r, true
		}
	}
	return relation{}, false
}

// open reports that there may be columns that are not known.
func (sc *scope) open() bool {
	return slices.ContainsFunc(sc.sources, func(r relation) bool { return r.open })
}

func (sc *scope) columns() []string {
	var all []string
	for _, r := range sc.sources {
		all = append(all, r.columns...)
	}
	return all
}

// implicit lists the columns that events of an input have besides those of CREATE TABLE.
var implicit = []string{"EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId", "IoTHub"}

// from checks FROM and returns the names that it gives.
func (c *checker) from(f *From) *scope {
	sc := &scope{}
	sc.sources = append(sc.sources, c.source(&f.Source))
	for _, it := range f.Tail {
		switch it := it.(type) {
		case *Join:
			c.join(sc, it)
		case *Apply:
			c.apply(sc, it)
		}
	}
	return sc
}

// add makes a source known by its name, which must be new.
func (c *checker) add(sc *scope, r relation, at Pos) {
	if _, twice := sc.source(r.name); twice && r.name != "" {
		c.fail(at, "two sources are called %s", r.name).Hint = "give one of them another name with AS"
	}
	sc.sources = append(sc.sources, r)
}

// source checks an input, a step or a query with its clauses.
func (c *checker) source(s *Source) relation {
	var r relation
	if s.Query != nil {
		r = c.query(s.Query, true)
	} else {
		r = c.named(s.Name)
	}
	if s.Alias != nil {
		r.name = s.Alias.Text
	}
	own := place{scope: &scope{sources: []relation{r}}, clause: "TIMESTAMP BY"}
	if s.TimestampBy != nil {
		if r.step {
			c.fail(s.TimestampBy.Pos(), "TIMESTAMP BY of the result of a query").Hint = "write it where the input is read"
		}
		Walk(s.TimestampBy, func(e Expr) bool {
			if IsSystemTimestamp(e) {
				c.fail(e.Pos(), "System.Timestamp() in TIMESTAMP BY, which sets it")
			}
			return true
		})
		c.expr(s.TimestampBy, own)
	}
	for _, e := range s.Over {
		c.expr(e, own)
	}
	own.clause = "PARTITION BY"
	for _, e := range s.PartitionBy {
		c.expr(e, own)
	}
	return r
}

// named finds a step or an input.
func (c *checker) named(n Name) relation {
	if r, ok := c.steps[strings.ToLower(n.Text)]; ok {
		return r
	}
	reference := hasName(c.env.References, n.Text)
	r := relation{name: n.Text, open: true, reference: reference, known: reference || c.env.Inputs != nil}
	if t := c.tables[strings.ToLower(n.Text)]; t != nil {
		r.open = false
		for _, col := range t.Columns {
			r.columns = append(r.columns, col.Name.Text)
		}
		r.columns = append(r.columns, implicit...)
	}
	if !reference && (c.env.Inputs != nil && !hasName(c.env.Inputs, n.Text) || c.env.Inputs == nil && hasName(c.later, n.Text)) {
		candidates := slices.Concat(c.env.Inputs, c.env.References)
		for _, st := range c.steps {
			candidates = append(candidates, st.name)
		}
		slices.Sort(candidates)
		c.unknownInput(n, candidates, "input or step")
		r.known = false
	}
	return r
}

func (c *checker) join(sc *scope, j *Join) {
	right := c.source(&j.Source)
	left := sc.sources[0]
	c.add(sc, right, j.Source.At)
	c.expr(j.On, place{scope: sc, clause: "ON"})
	switch {
	case left.known && left.reference && right.known && !right.reference:
		c.fail(j.Source.At, "reference data %s left of a stream", left.name).Hint = "the stream comes first"
	case right.known && !right.reference && !hasTimeBound(sc, j.On):
		c.fail(j.On.Pos(), "JOIN of streams without a bound of time").Hint =
			"add AND DATEDIFF(second, " + nameText(left.name) + ", " + nameText(right.name) + ") BETWEEN 0 AND 10"
	}
}

// hasTimeBound reports a DATEDIFF of two sources.
func hasTimeBound(sc *scope, on Expr) bool {
	found := false
	Walk(on, func(e Expr) bool {
		c, ok := e.(*Call)
		if ok && strings.EqualFold(c.Name, "DATEDIFF") && len(c.Args) == 3 && sc.names(c.Args[1]) && sc.names(c.Args[2]) {
			found = true
		}
		return !found
	})
	return found
}

// names reports that e is the name of a source.
func (sc *scope) names(e Expr) bool {
	col, ok := e.(*Column)
	if !ok || len(col.Path) != 1 {
		return false
	}
	_, ok = sc.source(col.Path[0].Text)
	return ok
}

// apply checks CROSS APPLY and what it adds to the columns.
func (c *checker) apply(sc *scope, a *Apply) {
	r := relation{name: a.Alias.Text, known: true}
	switch strings.ToLower(a.Call.Name) {
	case "getarrayelements":
		r.columns = []string{"ArrayIndex", "ArrayValue"}
	case "getrecordproperties":
		r.columns = []string{"PropertyName", "PropertyValue"}
	default:
		c.failNear(a.Call.At, a.Call.Name, []string{"GetArrayElements", "GetRecordProperties"},
			"unknown function %s in APPLY", a.Call.Name)
		r.open = true
	}
	if len(a.Call.Args) != 1 || a.Call.Star {
		c.fail(a.Call.At, "%s takes 1 argument", a.Call.Name)
	}
	for _, e := range a.Call.Args {
		c.expr(e, place{scope: sc, clause: "APPLY"})
	}
	c.add(sc, r, a.Alias.At)
}
