package stream

import (
	"slices"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// datetimeTrait is that of columns that are known to be datetimes.
var datetimeTrait = trait{
	func(in *inputPlan, name string) bool {
		for _, c := range in.Table {
			if sameName(c.Name.Text, name) {
				return c.Type == saql.KindDatetime
			}
		}
		return sameName(name, "EventEnqueuedUtcTime") || sameName(name, "EventProcessedUtcTime")
	},
	func(it projected) bool { return it.datetime },
}

// isDatetime tells whether an expression is known to be a datetime, if it is not
// NULL.
func isDatetime(sc *scope, e saql.Expr) bool {
	switch e := e.(type) {
	case *saql.Cast:
		return e.Type == saql.KindDatetime
	case *saql.Column:
		return datetimeTrait.ofColumn(sc, e)
	case *saql.Call:
		switch strings.ToUpper(e.Name) {
		case "SYSTEM.TIMESTAMP", "DATEADD", "DATETIMEFROMPARTS":
			return true
		case "LAG", "LAST", "MIN", "MAX":
			return len(e.Args) > 0 && !e.Star && isDatetime(sc, e.Args[0])
		}
	}
	return false
}

// alike makes operands that are compared of one kind. JSON has no datetimes: a
// text that is compared with what is known to be a datetime is one.
func alike(sc *scope, exprs []saql.Expr, ops ...*operand) []*operand {
	known := make([]bool, len(exprs))
	for i, e := range exprs {
		known[i] = isDatetime(sc, e)
	}
	if !slices.Contains(known, true) {
		return ops
	}
	made := make([]*operand, len(ops))
	for i, op := range ops {
		made[i] = op
		if !known[i] {
			made[i] = fold(&operand{eval: textToDatetime(op.eval, exprs[i].Pos())}, op)
		}
	}
	return made
}

// textToDatetime converts what is a text, and nothing else.
func textToDatetime(x evaluator, pos saql.Pos) evaluator {
	return func(row *saql.Row) (saql.Value, error) {
		v, err := x(row)
		if err != nil || v.Kind() != saql.KindString {
			return v, err
		}
		if v, err = saql.Convert(v, saql.KindDatetime); err != nil {
			return saql.Null, at(pos, err)
		}
		return v, nil
	}
}
