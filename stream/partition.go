package stream

import (
	"github.com/weir-iot/weir/saql"
)

// isPartition tells whether an expression is the PartitionId of the input that
// the rows come from, whatever it is called now.
func isPartition(sc *scope, e saql.Expr) bool {
	col, ok := e.(*saql.Column)
	if !ok {
		return false
	}
	path := col.Path
	if src := sc.source(path[0].Text); src != nil && len(path) == 2 {
		return isPartitionColumn(src.rel, path[1].Text)
	}
	owner, err := sc.owner(path[0])
	return err == nil && len(path) == 1 && isPartitionColumn(owner.rel, path[0].Text)
}

func isPartitionColumn(rel relation, name string) bool {
	switch rel := rel.(type) {
	case *inputPlan:
		return sameName(name, "PartitionId")
	case copied:
		return isPartitionColumn(rel.relation, name)
	case *projection:
		found := rel.candidates(name)
		if len(found) != 1 {
			return false
		}
		if st := found[0].star; st != nil {
			return st.record == nil && len(st.rels) == 1 && isPartitionColumn(st.rels[0], name)
		}
		return found[0].partition
	case *union:
		for _, b := range rel.branches {
			if !isPartitionColumn(b, name) {
				return false
			}
		}
		return true
	}
	return false
}
