package stream

import (
	"math"

	"github.com/weir-iot/weir/saql"
)

// A bound is DATEDIFF(unit, source, right) BETWEEN lo AND hi, where right is
// what stands right of JOIN. DATEDIFF counts the boundaries of the unit between
// two times, so that the bound is a range of whole units of the right time.
type bound struct {
	source int // among those left of JOIN
	unit   saql.Unit
	lo, hi int64 // -unbounded, unbounded: none
}

// unbounded is more units than lie between any two times.
const unbounded = math.MaxInt64 / 4

// rights returns the first and the last right time that fits a left one.
func (b bound) rights(left saql.Ticks) (first, last saql.Ticks) {
	at := unitIndex(b.unit, left)
	first, last = math.MinInt64, never
	if b.lo != -unbounded {
		first = unitStart(b.unit, at+b.lo)
	}
	if b.hi != unbounded {
		last = unitStart(b.unit, at+b.hi+1) - 1
	}
	return first, last
}

// lastLeft returns the last left time that fits a right one.
func (b bound) lastLeft(right saql.Ticks) saql.Ticks {
	if b.lo == -unbounded {
		return never
	}
	return unitStart(b.unit, unitIndex(b.unit, right)-b.lo+1) - 1
}

// span returns how far the right time is from the left one at least and at most.
func (b bound) span() (least, most saql.Ticks) {
	u := unitLength(b.unit)
	least, most = math.MinInt64, never
	if b.lo != -unbounded {
		least = saql.Ticks(b.lo-1)*u + 1
	}
	if b.hi != unbounded {
		most = saql.Ticks(b.hi+1)*u - 1
	}
	return least, most
}

// tooFar tells a bound of more than 7 days.
func (b bound) tooFar() bool {
	u := unitLength(b.unit)
	far := func(n int64) bool {
		return n != unbounded && n != -unbounded && (n > int64(saql.MaxWindow/u) || n < -int64(saql.MaxWindow/u))
	}
	return far(b.lo) || far(b.hi)
}

const dayTicks = 864_000_000_000 * saql.Ticks(1)

// unitLength returns the length of a unit, 0 of one that the calendar decides.
func unitLength(u saql.Unit) saql.Ticks {
	switch u {
	case saql.UnitWeek:
		return 7 * dayTicks
	case saql.UnitDayOfYear, saql.UnitWeekday:
		return dayTicks
	default:
		return u.Ticks()
	}
}

// weekOffset is where in a week time begins: weeks begin on Sunday, and the
// first of January of the year 1 was a Monday.
const weekOffset = dayTicks

func unitIndex(u saql.Unit, t saql.Ticks) int64 {
	if u == saql.UnitWeek {
		t += weekOffset
	}
	return int64(t / unitLength(u))
}

func unitStart(u saql.Unit, index int64) saql.Ticks {
	t := saql.Ticks(index) * unitLength(u)
	if u == saql.UnitWeek {
		t -= weekOffset
	}
	return t
}

// bounds are all bounds of a join.
type bounds struct {
	list []bound
	// lag is, of each source left of JOIN, how much older than the row that it is
	// in its own time may be.
	lag []saql.Ticks
}

// lastRight returns the last right time that fits the times of a left row;
// those of a source that had no match are never.
func (b bounds) lastRight(lefts []saql.Ticks) saql.Ticks {
	until := never
	for _, each := range b.list {
		if lefts[each.source] == never {
			return math.MinInt64
		}
		_, last := each.rights(lefts[each.source])
		until = min(until, last)
	}
	return until
}

// fits reports that a right time fits the times of a left row.
func (b bounds) fits(lefts []saql.Ticks, right saql.Ticks) bool {
	for _, each := range b.list {
		if lefts[each.source] == never {
			return false
		}
		if first, last := each.rights(lefts[each.source]); right < first || right > last {
			return false
		}
	}
	return true
}

// lastLeft returns the last time at which a left row may come that fits a right
// time.
func (b bounds) lastLeft(right saql.Ticks) saql.Ticks {
	until := never
	for _, each := range b.list {
		if last := each.lastLeft(right); last != never {
			until = min(until, last+b.lag[each.source])
		}
	}
	return until
}

// reach returns how much older than a joined row the rows may be that it is made
// of: each of the left sources, and the right one; ok is false if there is no
// limit.
func (b bounds) reach() (lefts []saql.Ticks, right saql.Ticks, ok bool) {
	lefts, right = make([]saql.Ticks, len(b.lag)), never
	for i := range lefts {
		ahead := never // of the right row, before source i
		for _, each := range b.list {
			least, most := each.span()
			if most != never {
				between := b.lag[i]
				if each.source == i {
					between = 0
				}
				ahead = min(ahead, most+between)
			}
			if least != math.MinInt64 {
				right = min(right, max(0, b.lag[each.source]-least))
			}
		}
		lefts[i] = max(b.lag[i], ahead)
		ok = ahead != never && right != never
	}
	return lefts, right, ok
}
