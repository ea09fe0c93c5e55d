package stream

import (
	"github.com/weir-iot/weir/saql"
)

// A ReferenceTable is data that a stream is joined with.
type ReferenceTable interface {
	// At returns the rows as they are at a time; the same slice while they do not change.
	At(t saql.Ticks) []*saql.Record
}

// join compiles one JOIN behind what stands left of it.
func (c *compiler) join(sc *scope, left *node, j *saql.Join, calls []*saql.Call) (*scope, *node, error) {
	return nil, nil, saql.Errorf(j.At, "JOIN is not supported")
}
