package stream

import (
	"github.com/weir-iot/weir/saql"
)

func (c *compiler) grouped(sc *scope, from *node, s *saql.Select) (step, error) {
	return step{}, saql.Errorf(s.At, "GROUP BY is not supported")
}

func (c *compiler) hasAggregate(s *saql.Select) bool { return false }

func isWindow(name string) bool    { return false }
func isAggregate(name string) bool { return false }
