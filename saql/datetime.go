package saql

import (
	"fmt"
	"time"
)

const (
	ticksPerMicrosecond Ticks = 10
	ticksPerMillisecond       = 1000 * ticksPerMicrosecond
	ticksPerSecond            = 1000 * ticksPerMillisecond
	ticksPerMinute            = 60 * ticksPerSecond
	ticksPerHour              = 60 * ticksPerMinute
	ticksPerDay               = 24 * ticksPerHour
)

const (
	// MinTicks is 0001-01-01T00:00:00Z.
	MinTicks Ticks = 0
	// MaxTicks is 9999-12-31T23:59:59.9999999Z.
	MaxTicks Ticks = 3652059*ticksPerDay - 1

	unixEpochDays       = 719162 // from 0001-01-01 to 1970-01-01
	unixEpoch     Ticks = unixEpochDays * ticksPerDay
)

// TicksOf returns t in ticks; what is finer than 100 ns is cut off, what lies
// outside of the years 1 to 9999 becomes the nearest end.
func TicksOf(t time.Time) Ticks {
	const toSeconds = int64(unixEpoch / ticksPerSecond)
	s := t.Unix()
	switch {
	case s < -toSeconds:
		return MinTicks
	case s > int64(MaxTicks/ticksPerSecond)-toSeconds:
		return MaxTicks
	}
	return Ticks(s+toSeconds)*ticksPerSecond + Ticks(t.Nanosecond()/100)
}

// Time returns t in UTC.
func (t Ticks) Time() time.Time {
	s, sub := floorDiv(int64(t-unixEpoch), int64(ticksPerSecond))
	return time.Unix(s, sub*100).UTC()
}

// String returns t as 2006-01-02T15:04:05.0000000Z.
func (t Ticks) String() string { return string(t.AppendText(nil)) }

// AppendText appends t as 2006-01-02T15:04:05.0000000Z.
func (t Ticks) AppendText(b []byte) []byte {
	t = min(max(t, MinTicks), MaxTicks)
	d := dateOf(t)
	b = appendPadded(b, int64(d.year), 4)
	b = append(b, '-')
	b = appendPadded(b, int64(d.month), 2)
	b = append(b, '-')
	b = appendPadded(b, int64(d.day), 2)
	sub := t % ticksPerDay
	b = append(b, 'T')
	b = appendPadded(b, int64(sub/ticksPerHour), 2)
	b = append(b, ':')
	b = appendPadded(b, int64(sub/ticksPerMinute%60), 2)
	b = append(b, ':')
	b = appendPadded(b, int64(sub/ticksPerSecond%60), 2)
	b = append(b, '.')
	b = appendPadded(b, int64(sub%ticksPerSecond), 7)
	return append(b, 'Z')
}

func appendPadded(b []byte, n int64, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// floorDiv divides so that the remainder is not negative; d > 0.
func floorDiv(n, d int64) (quotient, remainder int64) {
	quotient, remainder = n/d, n%d
	if remainder < 0 {
		quotient, remainder = quotient-1, remainder+d
	}
	return quotient, remainder
}

// A date is a day of the Gregorian calendar.
type date struct{ year, month, day int }

// dateOf returns the day that t lies in.
func dateOf(t Ticks) date {
	// Counted in years that begin in March, so that a leap day ends its year.
	// The first of those is year 0, 306 days before 0001-01-01.
	days := int64(t/ticksPerDay) + 306
	era, inEra := floorDiv(days, 146097)
	year := (inEra - inEra/1460 + inEra/36524 - inEra/146096) / 365
	inYear := inEra - (365*year + year/4 - year/100)
	month := (5*inYear + 2) / 153
	d := date{
		year:  int(year + era*400),
		month: int(month) + 3,
		day:   int(inYear - (153*month+2)/5 + 1),
	}
	if d.month > 12 {
		d.month -= 12
		d.year++
	}
	return d
}

// days counts from 0001-01-01 to d.
func (d date) days() int64 {
	year, month := int64(d.year), int64(d.month)-3
	if month < 0 {
		month += 12
		year--
	}
	era, inEra := floorDiv(year, 400)
	return era*146097 + inEra*365 + inEra/4 - inEra/100 + (153*month+2)/5 + int64(d.day) - 1 - 306
}

// valid reports whether there is such a day in the years 1 to 9999.
func (d date) valid() bool {
	return d.year >= 1 && d.year <= 9999 && d.month >= 1 && d.month <= 12 &&
		d.day >= 1 && d.day <= daysIn(d.year, d.month)
}

func (d date) ticks() Ticks { return Ticks(d.days()) * ticksPerDay }

func (d date) dayOfYear() int { return int(d.days()-date{d.year, 1, 1}.days()) + 1 }

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	default:
		return 31
	}
}

// weekday returns 0 for Sunday; 0001-01-01 was a Monday.
func weekday(t Ticks) int { return int((int64(t/ticksPerDay) + 1) % 7) }

// add returns t moved by n units, or an error outside of the years 1 to 9999.
func (t Ticks) add(u Unit, n int64) (Ticks, error) {
	switch u {
	case UnitYear:
		return t.addMonths(n, 12)
	case UnitQuarter:
		return t.addMonths(n, 3)
	case UnitMonth:
		return t.addMonths(n, 1)
	case UnitWeek:
		return t.addTicks(n, 7*ticksPerDay)
	case UnitDayOfYear, UnitWeekday:
		return t.addTicks(n, ticksPerDay)
	}
	if u.Ticks() == 0 {
		return 0, fmt.Errorf("%s is no part of a date", u)
	}
	return t.addTicks(n, u.Ticks())
}

func (t Ticks) addTicks(n int64, each Ticks) (Ticks, error) {
	if limit := int64(MaxTicks / each); n > limit || n < -limit {
		return 0, errDateRange
	}
	sum := t + Ticks(n)*each
	if sum < MinTicks || sum > MaxTicks {
		return 0, errDateRange
	}
	return sum, nil
}

// addMonths keeps the day, or takes the last of a shorter month.
func (t Ticks) addMonths(n, each int64) (Ticks, error) {
	if n > 120000 || n < -120000 {
		return 0, errDateRange
	}
	d := dateOf(t)
	year, month := floorDiv(int64(d.year)*12+int64(d.month-1)+n*each, 12)
	if year < 1 || year > 9999 {
		return 0, errDateRange
	}
	to := date{int(year), int(month) + 1, 0}
	to.day = min(d.day, daysIn(to.year, to.month))
	return to.ticks() + t%ticksPerDay, nil
}

// boundary returns the number of the unit that t lies in: two times differ in
// it by the boundaries between them.
func (t Ticks) boundary(u Unit) int64 {
	switch u {
	case UnitYear:
		return int64(dateOf(t).year)
	case UnitQuarter:
		d := dateOf(t)
		return int64(d.year*4 + (d.month-1)/3)
	case UnitMonth:
		d := dateOf(t)
		return int64(d.year*12 + d.month)
	case UnitWeek: // begins on Sunday
		return (int64(t/ticksPerDay) + 1) / 7
	case UnitDayOfYear, UnitWeekday:
		return int64(t / ticksPerDay)
	}
	return int64(t / max(u.Ticks(), 1))
}

// part returns the part of t as DATEPART gives it: weekday 1 is Sunday, week 1
// is that of the first of January.
func (t Ticks) part(u Unit) int64 {
	sub := t % ticksPerDay
	switch u {
	case UnitYear:
		return int64(dateOf(t).year)
	case UnitQuarter:
		return int64(dateOf(t).month-1)/3 + 1
	case UnitMonth:
		return int64(dateOf(t).month)
	case UnitDayOfYear:
		return int64(dateOf(t).dayOfYear())
	case UnitDay:
		return int64(dateOf(t).day)
	case UnitWeek:
		return t.boundary(UnitWeek) - date{dateOf(t).year, 1, 1}.ticks().boundary(UnitWeek) + 1
	case UnitWeekday:
		return int64(weekday(t)) + 1
	case UnitHour:
		return int64(sub / ticksPerHour)
	case UnitMinute:
		return int64(sub / ticksPerMinute % 60)
	case UnitSecond:
		return int64(sub / ticksPerSecond % 60)
	case UnitMillisecond:
		return int64(sub % ticksPerSecond / ticksPerMillisecond)
	default:
		return int64(sub % ticksPerSecond / ticksPerMicrosecond)
	}
}
