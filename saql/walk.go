package saql

// Walk visits e and, where visit says so, what e consists of, in the order in
// which it is written. Units of time are visited as the columns they look like.
func Walk(e Expr, visit func(Expr) bool) {
	if e == nil || !visit(e) {
		return
	}
	for _, part := range Parts(e) {
		Walk(part, visit)
	}
}

// Parts returns the expressions that e consists of, in the order in which they
// are written.
func Parts(e Expr) []Expr {
	switch e := e.(type) {
	case *Member:
		return []Expr{e.X}
	case *Unary:
		return []Expr{e.X}
	case *Binary:
		return []Expr{e.L, e.R}
	case *Between:
		return []Expr{e.X, e.Lo, e.Hi}
	case *In:
		return append([]Expr{e.X}, e.List...)
	case *Like:
		return []Expr{e.X, e.Pattern}
	case *IsNull:
		return []Expr{e.X}
	case *Case:
		return caseParts(e)
	case *Cast:
		return []Expr{e.X}
	case *Call:
		return append(e.Args[:len(e.Args):len(e.Args)], overParts(e.Over)...)
	}
	return nil
}

func caseParts(e *Case) []Expr {
	var parts []Expr
	if e.Operand != nil {
		parts = append(parts, e.Operand)
	}
	for _, w := range e.Whens {
		parts = append(parts, w.Cond, w.Then)
	}
	if e.Else != nil {
		parts = append(parts, e.Else)
	}
	return parts
}

func overParts(o *Over) []Expr {
	if o == nil {
		return nil
	}
	parts := append([]Expr(nil), o.PartitionBy...)
	for _, order := range o.OrderBy {
		parts = append(parts, order.X)
	}
	if o.When != nil {
		parts = append(parts, o.When)
	}
	return parts
}
