package saql

import "strings"

// A Unit is a part of a date or a time: the datepart of DATEADD and its kin,
// the unit of a window or a LIMIT DURATION.
type Unit uint8

// The units, from the coarsest to the finest.
const (
	UnitYear Unit = iota + 1
	UnitQuarter
	UnitMonth
	UnitDayOfYear
	UnitDay
	UnitWeek
	UnitWeekday
	UnitHour
	UnitMinute
	UnitSecond
	UnitMillisecond
	UnitMicrosecond
)

// unitNames lists each unit's name and its abbreviations.
var unitNames = [...][]string{
	UnitYear:        {"year", "yyyy", "yy"},
	UnitQuarter:     {"quarter", "qq", "q"},
	UnitMonth:       {"month", "mm", "m"},
	UnitDayOfYear:   {"dayofyear", "dy", "y"},
	UnitDay:         {"day", "dd", "d"},
	UnitWeek:        {"week", "wk", "ww"},
	UnitWeekday:     {"weekday", "dw", "w"},
	UnitHour:        {"hour", "hh"},
	UnitMinute:      {"minute", "mi", "n"},
	UnitSecond:      {"second", "ss", "s"},
	UnitMillisecond: {"millisecond", "ms"},
	UnitMicrosecond: {"microsecond", "mcs"},
}

// ParseUnit returns the unit of that name or abbreviation, in any case; a name
// may be in the plural.
func ParseUnit(name string) (Unit, bool) {
	for u, names := range unitNames {
		if len(names) > 0 && strings.EqualFold(names[0]+"s", name) {
			return Unit(u), true
		}
		for _, n := range names {
			if strings.EqualFold(n, name) {
				return Unit(u), true
			}
		}
	}
	return 0, false
}

// UnitNames returns the full names of all units, from the coarsest to the finest.
func UnitNames() []string {
	var all []string
	for _, names := range unitNames[UnitYear:] {
		all = append(all, names[0])
	}
	return all
}

func (u Unit) String() string {
	if int(u) >= len(unitNames) || u == 0 {
		return "unknown unit"
	}
	return unitNames[u][0]
}

// Ticks returns how long the unit is, 0 if that depends on the calendar: only
// units from day to microsecond measure windows and durations.
func (u Unit) Ticks() Ticks {
	switch u {
	case UnitDay:
		return ticksPerDay
	case UnitHour:
		return ticksPerHour
	case UnitMinute:
		return ticksPerMinute
	case UnitSecond:
		return ticksPerSecond
	case UnitMillisecond:
		return ticksPerMillisecond
	case UnitMicrosecond:
		return ticksPerMicrosecond
	default:
		return 0
	}
}
