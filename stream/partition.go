package stream

import (
	"github.com/weir-iot/weir/saql"
)

// A trait is what is known of the values of a column, whatever it is called now.
type trait struct {
	input func(in *inputPlan, name string) bool // of a column of an input
	item  func(it projected) bool               // of an entry of a SELECT list
}

// partitionTrait is that of the PartitionId of the input that the rows come from.
var partitionTrait = trait{
	func(_ *inputPlan, name string) bool { return sameName(name, "PartitionId") },
	func(it projected) bool { return it.partition },
}

// isPartition tells whether an expression is the PartitionId of the input that
// the rows come from.
func isPartition(sc *scope, e saql.Expr) bool {
	col, ok := e.(*saql.Column)
	return ok && partitionTrait.ofColumn(sc, col)
}

// ofColumn reports that a column has the trait; a field of a record has none.
func (t trait) ofColumn(sc *scope, col *saql.Column) bool {
	path := col.Path
	if src := sc.source(path[0].Text); src != nil && len(path) == 2 {
		return t.of(src.rel, path[1].Text)
	}
	owner, err := sc.owner(path[0])
	return err == nil && len(path) == 1 && t.of(owner.rel, path[0].Text)
}

func (t trait) of(rel relation, name string) bool {
	switch rel := rel.(type) {
	case *inputPlan:
		return t.input(rel, name)
	case copied:
		return t.of(rel.relation, name)
	case *projection:
		found := rel.candidates(name)
		if len(found) != 1 {
			return false
		}
		if st := found[0].star; st != nil {
			return st.record == nil && len(st.rels) == 1 && t.of(st.rels[0], name)
		}
		return t.item(found[0])
	case *union:
		for _, b := range rel.branches {
			if !t.of(b, name) {
				return false
			}
		}
		return true
	}
	return false
}
