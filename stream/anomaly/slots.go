package anomaly

import "github.com/weir-iot/weir/saql"

// slots count the intervals that pass between the events of a key.
type slots struct {
	interval saql.Ticks
	last     saql.Ticks // time of the last event; 0 before the first
}

// slot returns the interval in which t is: they end with their last tick.
func (s *slots) slot(t saql.Ticks) saql.Ticks { return (t - 1) / s.interval }

// pass moves on to t and returns how many intervals without an event lie
// between, most at most. Before the first event of a key there are always many:
// its value fills the whole history, and the second one can be an anomaly.
func (s *slots) pass(t saql.Ticks, most int) int {
	missed := s.slot(t) - s.slot(s.last) - 1
	s.last = t
	return int(max(0, min(missed, saql.Ticks(most))))
}
