package stream

import (
	"fmt"

	"github.com/weir-iot/weir/saql"
)

// join compiles one JOIN behind what stands left of it. Functions OVER (…) of
// the right side are computed before.
func (c *compiler) join(sc *scope, left *node, j *saql.Join, calls []*saql.Call) (*scope, *node, error) {
	if table := c.reference(j.Source); table != nil {
		return c.referenceJoin(sc, left, j, table, calls)
	}
	rightScope, right, err := c.entry(j.Source, calls)
	if err != nil {
		return nil, nil, err
	}
	if sc.source(rightScope.sources[0].name) != nil {
		return nil, nil, sameAlias(j.Source)
	}
	lefts := len(sc.sources)
	l := &layout{computed: lefts + 1}
	joined := sc.through(l, 0)
	joined.sources = append(joined.sources, rightScope.through(l, 1).sources...)
	times := make([]evaluator, lefts)
	for i := range joined.sources {
		joined.sources[i].time = &ref{slot: i}
		if i < lefts {
			times[i] = sc.sources[i].timestamp()
		}
	}
	on, err := c.on(sc, rightScope, joined, j)
	if err != nil {
		return nil, nil, err
	}
	for _, src := range sc.sources {
		on.bounds.lag = append(on.bounds.lag, src.lag)
	}
	lags, lag, ok := on.bounds.reach()
	if !ok {
		return nil, nil, noBounds(sc, rightScope, j)
	}
	n := &node{text: "join", perPartition: on.perPartition}
	if j.Left {
		n.text = "left outer join"
	}
	for i := range joined.sources {
		joined.sources[i].lag = append(lags, lag)[i]
		n.reach = max(n.reach, joined.sources[i].lag)
	}
	n.state = func() string {
		return fmt.Sprintf("%s %q %s %v", n.text, sourceNames(joined), c.canonical(joined, j.On), l.names())
	}
	n.build = func(fail Failure) Operator { return newJoin(on, times, j.Left, l, fail) }
	return joined, c.add(n, left, right), nil
}

func sameAlias(s saql.Source) error {
	err := saql.Errorf(s.At, "two sources are called %s", s.Name.Text)
	err.Hint = "give one an alias with AS"
	return err
}

func noBounds(left, right *scope, j *saql.Join) error {
	err := saql.Errorf(j.On.Pos(), "ON does not limit how far apart in time the events of %s are", right.sources[0].name)
	err.Hint = fmt.Sprintf("add AND DATEDIFF(minute, %s, %s) BETWEEN 0 AND 5", left.sources[0].name, right.sources[0].name)
	return err
}

// An onClause is what a JOIN requires of two rows.
type onClause struct {
	bounds      bounds
	left, right []evaluator // keys of the rows of each side, which are equal
	rest        evaluator   // of the joined row; nil: nothing else

	perPartition bool // rows of two partitions do not match
}

// on compiles ON: its terms are bounds in time, keys, or what else must hold of
// the joined row.
func (c *compiler) on(left, right, joined *scope, j *saql.Join) (*onClause, error) {
	if j.On == nil {
		return nil, saql.Errorf(j.At, "JOIN without ON")
	}
	on := &onClause{}
	var rest saql.Expr
	for _, term := range terms(j.On) {
		b, isBound, err := c.bound(left, right, term)
		if err != nil {
			return nil, err
		}
		if isBound {
			on.bounds.list = append(on.bounds.list, b)
			continue
		}
		l, r, isKey := keyTerm(left, right, joined, term)
		if !isKey {
			rest = and(rest, term)
			continue
		}
		if err := c.key(on, left, right, l, r); err != nil {
			return nil, err
		}
	}
	var err error
	last, err := c.condition(joined, rest)
	on.rest = last.eval
	return on, err
}

func (c *compiler) key(on *onClause, left, right *scope, l, r saql.Expr) error {
	lOp, err := c.expr(left, l)
	if err != nil {
		return err
	}
	rOp, err := c.expr(right, r)
	if err != nil {
		return err
	}
	if isDatetime(left, l) != isDatetime(right, r) { // as alike does
		lOp.eval, rOp.eval = textToDatetime(lOp.eval, l.Pos()), textToDatetime(rOp.eval, r.Pos())
	}
	on.left, on.right = append(on.left, lOp.eval), append(on.right, rOp.eval)
	on.perPartition = on.perPartition || isPartition(left, l) && isPartition(right, r)
	return nil
}

// terms returns the conditions that AND connects.
func terms(e saql.Expr) []saql.Expr {
	if b, ok := e.(*saql.Binary); ok && b.Op == saql.OpAnd {
		return append(terms(b.L), terms(b.R)...)
	}
	return []saql.Expr{e}
}

func and(l, r saql.Expr) saql.Expr {
	if l == nil {
		return r
	}
	return &saql.Binary{At: r.Pos(), Op: saql.OpAnd, L: l, R: r}
}

// keyTerm takes a term apart that is an equality of a left and a right value.
func keyTerm(left, right, joined *scope, term saql.Expr) (l, r saql.Expr, ok bool) {
	b, isBinary := term.(*saql.Binary)
	if !isBinary || b.Op != saql.OpEq {
		return nil, nil, false
	}
	switch {
	case readsOnly(joined, b.L, len(left.sources), 0) && readsOnly(joined, b.R, len(left.sources), 1):
		return b.L, b.R, true
	case readsOnly(joined, b.R, len(left.sources), 0) && readsOnly(joined, b.L, len(left.sources), 1):
		return b.R, b.L, true
	}
	return nil, nil, false
}

// readsOnly reports that an expression is computed of one side of a join alone:
// of the first sources (0) or of those behind them (1).
func readsOnly(joined *scope, e saql.Expr, lefts, side int) bool {
	reads, only := false, true
	saql.Walk(e, func(e saql.Expr) bool {
		switch e := e.(type) {
		case *saql.Call:
			// Not units and sources as arguments, which are no columns, and not the
			// time of the joined row, which is that of neither side.
			f, scalar := saql.LookupFunction(e.Name)
			only = only && scalar && !f.Unit
		case *saql.Column:
			i := joined.index(e)
			reads = true
			only = only && i >= 0 && (i >= lefts) == (side == 1)
		}
		return only
	})
	return reads && only
}

// index returns which source a column is of, -1 if that is not clear.
func (s *scope) index(col *saql.Column) int {
	for i := range s.sources {
		if len(col.Path) > 1 && sameName(s.sources[i].name, col.Path[0].Text) {
			return i
		}
	}
	owner, err := s.owner(col.Path[0])
	if err != nil {
		return -1
	}
	for i := range s.sources {
		if owner == &s.sources[i] {
			return i
		}
	}
	return -1
}

// bound reads a term as a bound in time.
func (c *compiler) bound(left, right *scope, term saql.Expr) (b bound, ok bool, err error) {
	diff, lo, hi, ok := diffRange(term)
	if !ok {
		return b, false, nil
	}
	b.lo, b.hi = lo, hi
	from, to := sourceOf(diff.Args[1]), sourceOf(diff.Args[2])
	b.source = left.named(from)
	if b.source < 0 || right.named(to) < 0 {
		b.source = left.named(to)
		b.lo, b.hi = -hi, -lo
		if b.source < 0 || right.named(from) < 0 {
			return b, false, nil
		}
	}
	if b.unit, err = unitOf(diff.Args[0]); err != nil {
		return b, false, err
	}
	if unitLength(b.unit) == 0 || b.tooFar() {
		err := saql.Errorf(diff.At, "events that are joined are at most 7 days apart")
		return b, false, err
	}
	return b, true, nil
}

// named returns which source has that name, -1 if none has.
func (s *scope) named(name string) int {
	for i := range s.sources {
		if name != "" && sameName(s.sources[i].name, name) {
			return i
		}
	}
	return -1
}

// sourceOf returns the one name that an argument of DATEDIFF is.
func sourceOf(e saql.Expr) string {
	if col, ok := e.(*saql.Column); ok && len(col.Path) == 1 {
		return col.Path[0].Text
	}
	return ""
}

// diffRange takes a comparison of DATEDIFF with constants apart.
func diffRange(term saql.Expr) (diff *saql.Call, lo, hi int64, ok bool) {
	switch term := term.(type) {
	case *saql.Between:
		lo, okLo := constantUnits(term.Lo)
		hi, okHi := constantUnits(term.Hi)
		diff, ok := dateDiff(term.X)
		return diff, lo, hi, ok && okLo && okHi && !term.Not
	case *saql.Binary:
		op, x, n := term.Op, term.L, term.R
		if _, ok := dateDiff(n); ok {
			op, x, n = mirrored(op), term.R, term.L
		}
		diff, okDiff := dateDiff(x)
		units, okUnits := constantUnits(n)
		lo, hi, okOp := opRange(op, units)
		return diff, lo, hi, okDiff && okUnits && okOp
	}
	return nil, 0, 0, false
}

func dateDiff(e saql.Expr) (*saql.Call, bool) {
	call, ok := e.(*saql.Call)
	return call, ok && sameName(call.Name, "DATEDIFF") && len(call.Args) == 3
}

func constantUnits(e saql.Expr) (int64, bool) {
	v, ok := saql.Constant(e)
	n := v.Bigint()
	return n, ok && v.Kind() == saql.KindBigint && n < unbounded && n > -unbounded
}

// mirrored returns the operator that holds when the operands change places.
func mirrored(op saql.Op) saql.Op {
	switch op {
	case saql.OpLt:
		return saql.OpGt
	case saql.OpLe:
		return saql.OpGe
	case saql.OpGt:
		return saql.OpLt
	case saql.OpGe:
		return saql.OpLe
	default:
		return op
	}
}

// opRange returns the numbers for which a comparison with n holds.
func opRange(op saql.Op, n int64) (lo, hi int64, ok bool) {
	switch op {
	case saql.OpEq:
		return n, n, true
	case saql.OpLt:
		return -unbounded, n - 1, true
	case saql.OpLe:
		return -unbounded, n, true
	case saql.OpGt:
		return n + 1, unbounded, true
	case saql.OpGe:
		return n, unbounded, true
	}
	return 0, 0, false
}
