package saql

import (
	"fmt"
	"strings"
)

// momentOf returns a datetime, or that which a string is cast to.
func momentOf(v Value) (Ticks, error) {
	if v.kind == KindDatetime {
		return v.Datetime(), nil
	}
	d, err := Convert(v, KindDatetime)
	return d.Datetime(), err
}

// DateAdd is DATEADD(u, n, t): a fraction of n is cut off; t is a datetime or a
// string. Outside of the years 1 to 9999 it is an error.
func DateAdd(u Unit, n, t Value) (Value, error) {
	if n.kind == KindNull || t.kind == KindNull {
		return Null, nil
	}
	var by int64
	switch n.kind {
	case KindBigint:
		by = n.Bigint()
	case KindFloat:
		by = truncate(n.Float())
	default:
		return Null, fmt.Errorf("argument 2 of DATEADD is of type '%s'; expected %s", n.kind, number)
	}
	at, err := momentOf(t)
	if err != nil {
		return Null, err
	}
	sum, err := at.add(u, by)
	if err != nil {
		return Null, err
	}
	return Datetime(sum), nil
}

// DateDiff is DATEDIFF(u, from, to): the boundaries of u between both, negative
// if to is the earlier. Weeks begin on Sunday.
func DateDiff(u Unit, from, to Value) (Value, error) {
	if from.kind == KindNull || to.kind == KindNull {
		return Null, nil
	}
	a, err := momentOf(from)
	if err != nil {
		return Null, err
	}
	b, err := momentOf(to)
	if err != nil {
		return Null, err
	}
	return Bigint(b.boundary(u) - a.boundary(u)), nil
}

// DatePart is DATEPART(u, t). Sunday is weekday 1.
func DatePart(u Unit, t Value) (Value, error) {
	if t.kind == KindNull {
		return Null, nil
	}
	at, err := momentOf(t)
	if err != nil {
		return Null, err
	}
	return Bigint(at.part(u)), nil
}

// DateName is DATENAME(u, t): months and weekdays by their English names, else
// the number.
func DateName(u Unit, t Value) (Value, error) {
	part, err := DatePart(u, t)
	if err != nil || part.kind == KindNull {
		return Null, err
	}
	switch u {
	case UnitMonth:
		return String(monthNames[part.Bigint()-1]), nil
	case UnitWeekday:
		return String(weekdayNames[part.Bigint()-1]), nil
	}
	return Convert(part, KindString)
}

// unitOf returns the unit that an argument names.
func unitOf(v Value) (Unit, error) {
	u, ok := ParseUnit(v.Str())
	if !ok {
		return 0, fmt.Errorf("%.64q is no part of a date; expected %s", v.Str(), strings.Join(UnitNames(), ", "))
	}
	return u, nil
}

func dateAdd(args []Value) (Value, error) {
	u, err := unitOf(args[0])
	if err != nil {
		return Null, err
	}
	return DateAdd(u, args[1], args[2])
}

func dateDiff(args []Value) (Value, error) {
	u, err := unitOf(args[0])
	if err != nil {
		return Null, err
	}
	return DateDiff(u, args[1], args[2])
}

func dateName(args []Value) (Value, error) {
	u, err := unitOf(args[0])
	if err != nil {
		return Null, err
	}
	return DateName(u, args[1])
}

func datePart(args []Value) (Value, error) {
	u, err := unitOf(args[0])
	if err != nil {
		return Null, err
	}
	return DatePart(u, args[1])
}

// partOf is DAY(t), MONTH(t) or YEAR(t).
func partOf(u Unit) func(args []Value) (Value, error) {
	return func(args []Value) (Value, error) { return DatePart(u, args[0]) }
}

// datetimeFromParts is DATETIMEFROMPARTS(year, month, day, hour, minute,
// second, millisecond).
func datetimeFromParts(args []Value) (Value, error) {
	var p [7]int
	for i, a := range args {
		n := a.Bigint()
		if n < 0 || n > 9999 {
			return Null, fmt.Errorf("part %d of DATETIMEFROMPARTS is %d: there is no such datetime", i+1, n)
		}
		p[i] = int(n)
	}
	d := date{p[0], p[1], p[2]}
	if !d.valid() || p[3] > 23 || p[4] > 59 || p[5] > 59 || p[6] > 999 {
		return Null, fmt.Errorf("DATETIMEFROMPARTS: there is no %04d-%02d-%02d %02d:%02d:%02d.%03d", p[0], p[1], p[2], p[3], p[4], p[5], p[6])
	}
	return Datetime(d.ticks() + Ticks(p[3])*ticksPerHour + Ticks(p[4])*ticksPerMinute +
		Ticks(p[5])*ticksPerSecond + Ticks(p[6])*ticksPerMillisecond), nil
}
