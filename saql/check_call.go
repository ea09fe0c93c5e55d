package saql

import (
	"slices"
	"strconv"
	"strings"
)

// A use is what a function that is no scalar one is for.
type use uint8

const (
	useAggregate use = iota // of a group, or with OVER (LIMIT DURATION …) of the recent past
	useAnalytic             // of the recent past only
	useFirst                // ISFIRST, whose OVER has no LIMIT DURATION
	useSystem               // of the row or the window itself
	useApply                // of APPLY only
	useUnsupported
)

// A specialFunction is a function that is no scalar one.
type specialFunction struct {
	name     string
	use      use
	min, max int
	ordered  bool // its OVER needs ORDER BY
}

var specials = [...]specialFunction{
	{"AVG", useAggregate, 1, 1, false},
	{"COLLECT", useAggregate, 0, 1, false},
	{"CollectTop", useAggregate, 1, 2, true},
	{"COUNT", useAggregate, 0, 1, false},
	{"MAX", useAggregate, 1, 1, false},
	{"MIN", useAggregate, 1, 1, false},
	{"PERCENTILE_CONT", useAggregate, 1, 1, true},
	{"PERCENTILE_DISC", useAggregate, 1, 1, true},
	{"STDEV", useAggregate, 1, 1, false},
	{"STDEVP", useAggregate, 1, 1, false},
	{"SUM", useAggregate, 1, 1, false},
	{"TopOne", useAggregate, 0, 1, true},
	{"VAR", useAggregate, 1, 1, false},
	{"VARP", useAggregate, 1, 1, false},

	{"AnomalyDetection_ChangePoint", useAnalytic, 3, 3, false},
	{"AnomalyDetection_SpikeAndDip", useAnalytic, 4, 4, false},
	{"LAG", useAnalytic, 1, 3, false},
	{"LAST", useAnalytic, 1, 2, false},
	{"ISFIRST", useFirst, 2, 2, false},

	{"GetMetadataPropertyValue", useSystem, 2, 2, false},
	{"System.Timestamp", useSystem, 0, 0, false},
	{"System.Window", useSystem, 0, 0, false},

	{"GetArrayElements", useApply, 1, 1, false},
	{"GetRecordProperties", useApply, 1, 1, false},

	{"CreateLineString", useUnsupported, 0, unlimited, false},
	{"CreatePoint", useUnsupported, 0, unlimited, false},
	{"CreatePolygon", useUnsupported, 0, unlimited, false},
	{"ST_DISTANCE", useUnsupported, 0, unlimited, false},
	{"ST_INTERSECTS", useUnsupported, 0, unlimited, false},
	{"ST_OVERLAPS", useUnsupported, 0, unlimited, false},
	{"ST_WITHIN", useUnsupported, 0, unlimited, false},
}

func lookupSpecial(name string) (specialFunction, bool) {
	for _, s := range specials {
		if strings.EqualFold(s.name, name) {
			return s, true
		}
	}
	return specialFunction{use: useSystem}, false
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isAggregate reports an aggregate of a group.
func isAggregate(c *Call) bool {
	f, _ := lookupSpecial(c.Name)
	return (f.use == useAggregate || hasPrefixFold(c.Name, "uda.")) && (c.Over == nil || c.Over.Limit == nil)
}

// takesUnit reports a function whose first argument is a unit of time.
func takesUnit(name string) bool {
	f, ok := LookupFunction(name)
	return ok && f.Unit || strings.EqualFold(name, "ISFIRST")
}

func isWindowName(name string) bool {
	_, ok, _ := ParseWindow(&Call{Name: name})
	return ok || strings.EqualFold(name, "Window")
}

func isWindow(e Expr) bool {
	c, ok := e.(*Call)
	return ok && isWindowName(c.Name)
}

// call checks a call that is no window of GROUP BY.
func (c *checker) call(e *Call, p place) {
	if f, ok := LookupFunction(e.Name); ok {
		c.arity(e, f.MinArgs, f.MaxArgs)
		c.noOver(e)
		c.arguments(e, p)
		return
	}
	f, ok := lookupSpecial(e.Name)
	switch {
	case f.use == useUnsupported:
		c.fail(e.At, "%s is not supported", e.Name)
		return
	case f.use == useApply:
		c.fail(e.At, "%s outside of APPLY", e.Name).Hint = "write CROSS APPLY " + e.Name + "(…) AS x after FROM"
		return
	case ok:
		c.arity(e, f.min, f.max)
	case isWindowName(e.Name):
		c.fail(e.At, "window %s outside of GROUP BY", e.Name)
		return
	default:
		c.userFunction(e)
		if isAggregate(e) {
			f.use = useAggregate
		}
	}
	if f.ordered && (e.Over == nil || e.Over.OrderBy == nil) {
		c.fail(e.At, "%s without ORDER BY", e.Name).Hint = "write " + e.Name + "(…) OVER (ORDER BY x)"
	}
	c.use(e, f.use, p)
	c.constants(e)
	if f.use != useSystem {
		p.within = e.Name
	}
	c.arguments(e, p)
}

// arity checks the number of arguments; most may be unlimited.
func (c *checker) arity(e *Call, least, most int) {
	n := len(e.Args)
	if e.Star {
		n++
		if !strings.EqualFold(e.Name, "COUNT") && !strings.EqualFold(e.Name, "LAG") && !strings.EqualFold(e.Name, "LAST") {
			c.fail(e.At, "%s does not take *", e.Name)
			return
		}
	}
	if e.Distinct && !strings.EqualFold(e.Name, "COUNT") {
		c.fail(e.At, "%s does not take DISTINCT", e.Name)
	}
	switch {
	case n >= least && (most == unlimited || n <= most):
	case most == unlimited:
		c.fail(e.At, "%s takes at least %d arguments, not %d", e.Name, least, n)
	case least == most:
		c.fail(e.At, "%s takes %s, not %d", e.Name, plural(least, "argument"), n)
	default:
		c.fail(e.At, "%s takes %d to %s, not %d", e.Name, least, plural(most, "argument"), n)
	}
}

func plural(n int, noun string) string {
	return choose(n == 0, "no", strconv.Itoa(n)) + " " + noun + choose(n == 1, "", "s")
}

func (c *checker) noOver(e *Call) {
	if e.Over != nil {
		c.fail(e.Over.At, "%s takes no OVER", e.Name)
	}
}

// use checks that an aggregate or an analytic function may stand here and has
// the OVER that it needs.
func (c *checker) use(e *Call, u use, p place) {
	limited := e.Over != nil && e.Over.Limit != nil
	switch {
	case u == useSystem:
		c.noOver(e)
	case u == useFirst && limited:
		c.fail(e.Over.Limit.At, "%s takes no LIMIT DURATION", e.Name)
	case u == useAnalytic && !limited:
		c.fail(e.At, "%s without LIMIT DURATION", e.Name).Hint = "write " + e.Name + "(…) OVER (LIMIT DURATION (minute, 5))"
	case u == useAggregate && !limited:
		c.aggregate(e, p)
	}
	if limited {
		_, err := e.Over.Limit.Duration()
		c.report(err)
	}
	if strings.EqualFold(e.Name, "System.Window") && !p.grouped {
		c.fail(e.At, "System.Window() in a query without GROUP BY")
	}
}

// aggregate checks that an aggregate of a group may stand here.
func (c *checker) aggregate(e *Call, p place) {
	switch {
	case e.Over != nil && (e.Over.PartitionBy != nil || e.Over.When != nil):
		c.fail(e.Over.At, "OVER without LIMIT DURATION").Hint = "add LIMIT DURATION (minute, 5)"
	case p.within != "":
		c.fail(e.At, "%s within %s", e.Name, p.within).Hint = "compute it in a step of WITH"
	case p.clause == "WHERE":
		c.fail(e.At, "aggregate %s in WHERE", e.Name).Hint = "write it in HAVING"
	case p.clause != "SELECT" && p.clause != "HAVING":
		c.fail(e.At, "aggregate %s in %s", e.Name, p.clause)
	case !p.grouped:
		c.fail(e.At, "aggregate %s without GROUP BY", e.Name).Hint = "add GROUP BY and a window, or OVER (LIMIT DURATION (…))"
	}
}

// constants checks the arguments that are the same for all rows.
func (c *checker) constants(e *Call) {
	switch strings.ToUpper(e.Name) {
	case "PERCENTILE_CONT", "PERCENTILE_DISC":
		c.constant(e, 0, "a constant from 0 to 1", func(v Value) bool { return v.isNumber() && v.number() >= 0 && v.number() <= 1 })
	case "COLLECTTOP":
		c.constant(e, 0, "a constant bigint above 0", func(v Value) bool { return v.Kind() == KindBigint && v.Bigint() > 0 })
	case "LAG":
		n := 1
		if e.Star {
			n = 0
		}
		c.constant(e, n, "a constant bigint above 0", func(v Value) bool { return v.Kind() == KindBigint && v.Bigint() > 0 })
	case "ISFIRST":
		if len(e.Args) == 2 {
			if u, err := unitArg(e.Args[0]); err != nil {
				c.report(err)
			} else if _, err := positive(u, e.Args[1]); err != nil {
				c.report(err)
			}
		}
	}
}

func (c *checker) constant(e *Call, i int, what string, ok func(Value) bool) {
	if i >= len(e.Args) {
		return
	}
	if v, constant := Constant(e.Args[i]); !constant || !ok(v) {
		c.fail(e.Args[i].Pos(), "unexpected %s, expected %s", ExprString(e.Args[i]), what)
	}
}

// arguments checks what a call is made of; a unit of time and the name of an
// input are no columns.
func (c *checker) arguments(e *Call, p place) {
	args := e.Args
	switch {
	case takesUnit(e.Name) && len(args) > 0:
		if !strings.EqualFold(e.Name, "ISFIRST") {
			c.unit(args[0])
		}
		args = args[1:]
	case strings.EqualFold(e.Name, "GetMetadataPropertyValue") && len(args) > 0:
		if !p.scope.names(args[0]) {
			c.fail(args[0].Pos(), "unexpected %s, expected an input of FROM", ExprString(args[0]))
		}
		args = args[1:]
	}
	for _, arg := range args {
		c.parts(arg, p)
	}
	if o := e.Over; o != nil {
		for _, k := range o.PartitionBy {
			c.parts(k, p)
		}
		for _, k := range o.OrderBy {
			c.parts(k.X, p)
		}
		c.parts(o.When, p)
	}
}

// unit checks the first argument of DATEADD and its kin.
func (c *checker) unit(e Expr) {
	col, ok := e.(*Column)
	if !ok || len(col.Path) != 1 {
		c.fail(e.Pos(), "unexpected %s, expected a unit of time", ExprString(e))
		return
	}
	if _, ok := ParseUnit(col.Path[0].Text); !ok {
		c.failNear(e.Pos(), col.Path[0].Text, UnitNames(), "unknown unit %s", col.Path[0].Text)
	}
}

// userFunction checks the name of a function that the language does not have.
func (c *checker) userFunction(e *Call) {
	prefixed := hasPrefixFold(e.Name, "udf.") || hasPrefixFold(e.Name, "uda.")
	if prefixed && c.env.Functions == nil || hasName(c.env.Functions, e.Name) {
		return
	}
	names := slices.Concat(Functions(), c.env.Functions)
	for _, s := range specials {
		names = append(names, s.name)
	}
	for _, w := range windowNames {
		names = append(names, w.name+"Window")
	}
	c.failNear(e.At, e.Name, names, "unknown function %s", e.Name)
}
