package saql

import "math"

// MaxWindow is the longest window, LIMIT DURATION and distance of joined events.
const MaxWindow = 7 * ticksPerDay

// durationUnits are those whose length does not depend on the calendar.
var durationUnits = []string{"day", "hour", "minute", "second", "millisecond", "microsecond"}

// durationUnit returns the unit of a window or of LIMIT DURATION.
func durationUnit(n Name) (Unit, error) {
	u, ok := ParseUnit(n.Text)
	if ok && u.Ticks() > 0 {
		return u, nil
	}
	err := Errorf(n.At, "unexpected %q, expected day, hour, minute, second, millisecond or microsecond", n.Text)
	if near := Nearest(n.Text, durationUnits); near != "" && !ok {
		err.Hint = "did you mean " + near + "?"
	}
	return 0, err
}

// duration returns n units; n is a constant number. At most MaxWindow either way.
func duration(u Unit, n Expr) (Ticks, error) {
	v, ok := Constant(n)
	if !ok || !v.isNumber() {
		return 0, Errorf(n.Pos(), "expected a constant number of %ss", u)
	}
	ticks := math.Round(v.number() * float64(u.Ticks()))
	if !(math.Abs(ticks) <= float64(MaxWindow)) {
		return 0, Errorf(n.Pos(), "%s %ss are longer than 7 days", ExprString(n), u)
	}
	return Ticks(ticks), nil
}

// positive returns a duration that is not zero or less.
func positive(u Unit, n Expr) (Ticks, error) {
	d, err := duration(u, n)
	if err == nil && d <= 0 {
		return 0, Errorf(n.Pos(), "expected more than 0 %ss", u)
	}
	return d, err
}

// Duration returns how long LIMIT DURATION (unit, n) reaches back.
func (l *Limit) Duration() (Ticks, error) {
	u, err := durationUnit(l.Unit)
	if err != nil {
		return 0, err
	}
	return positive(u, l.N)
}
