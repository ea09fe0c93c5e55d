package saql

import (
	"errors"
	"fmt"
	"strings"
)

var errDateRange = errors.New("the date is outside of the years 1 to 9999")

// ParseDatetime reads a date and time as CAST to datetime does: ISO 8601 (with
// T or a space, a zone or none, up to any number of fractional digits, rounded
// to 7), M/d/yyyy [h:mm[:ss] [AM|PM]], and RFC 1123. Without a zone it is UTC.
// A bare number is not a datetime.
func ParseDatetime(s string) (Ticks, error) {
	p := dateParser{s: strings.TrimSpace(s)}
	t, ok := p.datetime()
	switch {
	case !ok:
		return 0, fmt.Errorf("%.64q is not a datetime; expected as 2026-01-31T12:30:00Z", s)
	case t < MinTicks || t > MaxTicks:
		return 0, errDateRange
	}
	return t, nil
}

type dateParser struct {
	s string
	i int
}

func (p *dateParser) datetime() (Ticks, bool) {
	if len(p.s) > 0 && (p.s[0] < '0' || p.s[0] > '9') {
		return p.rfc1123()
	}
	n, width := p.digits(4)
	if width == 0 {
		return 0, false
	}
	d, ok := date{}, false
	switch sep := p.next(); {
	case width == 4 && (sep == '-' || sep == '/'):
		d, ok = p.monthDay(n, sep)
	case width <= 2 && (sep == '/' || sep == '-'):
		d, ok = p.dayYear(n, sep)
	case width <= 2 && sep == ' ':
		p.i = 0
		return p.rfc1123()
	}
	if !ok || !d.valid() {
		return 0, false
	}
	return p.timeOf(d)
}

// monthDay reads what follows yyyy-.
func (p *dateParser) monthDay(year int, sep byte) (date, bool) {
	month, mw := p.digits(2)
	if mw == 0 || p.next() != sep {
		return date{}, false
	}
	day, dw := p.digits(2)
	return date{year, month, day}, dw > 0
}

// dayYear reads what follows M/.
func (p *dateParser) dayYear(month int, sep byte) (date, bool) {
	day, dw := p.digits(2)
	if dw == 0 || p.next() != sep {
		return date{}, false
	}
	year, yw := p.digits(4)
	return date{year, month, day}, yw == 4
}

// timeOf reads the rest: [T| ]h:mm[:ss[.f…]] [AM|PM] [zone].
func (p *dateParser) timeOf(d date) (Ticks, bool) {
	if p.i == len(p.s) {
		return d.ticks(), true
	}
	if c := p.next(); c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	p.spaces()
	clock, ok := p.clock()
	if !ok {
		return 0, false
	}
	offset, ok := p.zone()
	return d.ticks() + clock - offset, ok && p.i == len(p.s)
}

func (p *dateParser) clock() (Ticks, bool) {
	hour, hw := p.digits(2)
	if hw == 0 || p.next() != ':' {
		return 0, false
	}
	minute, mw := p.digits(2)
	second, fraction := 0, Ticks(0)
	if p.peek() == ':' {
		p.i++
		var sw int
		if second, sw = p.digits(2); sw == 0 {
			return 0, false
		}
		var ok bool
		if fraction, ok = p.fraction(); !ok {
			return 0, false
		}
	}
	hour, ok := p.halfDay(hour)
	if !ok || mw != 2 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return Ticks(hour)*ticksPerHour + Ticks(minute)*ticksPerMinute + Ticks(second)*ticksPerSecond + fraction, true
}

// fraction reads .f…, rounded half up to 7 digits.
func (p *dateParser) fraction() (Ticks, bool) {
	if c := p.peek(); c != '.' && c != ',' {
		return 0, true
	}
	p.i++
	f, place, from := Ticks(0), ticksPerSecond/10, p.i
	for ; p.i < len(p.s) && isDigit(p.s[p.i]); p.i++ {
		switch digit := Ticks(p.s[p.i] - '0'); {
		case place > 0:
			f += digit * place
			place /= 10
		case p.i == from+7 && digit >= 5:
			f++
		}
	}
	return f, p.i > from
}

// halfDay reads AM or PM, if there is one, and returns the hour of the day.
func (p *dateParser) halfDay(hour int) (int, bool) {
	at := p.i
	p.spaces()
	if p.i+2 > len(p.s) {
		p.i = at
		return hour, true
	}
	half := p.s[p.i : p.i+2]
	am, pm := strings.EqualFold(half, "AM"), strings.EqualFold(half, "PM")
	if !am && !pm {
		p.i = at
		return hour, true
	}
	p.i += 2
	if hour < 1 || hour > 12 {
		return 0, false
	}
	hour %= 12
	if pm {
		hour += 12
	}
	return hour, true
}

// zone reads Z, GMT, UTC, ±hh, ±hhmm, ±hh:mm or nothing.
func (p *dateParser) zone() (Ticks, bool) {
	p.spaces()
	rest := p.s[p.i:]
	for _, utc := range []string{"Z", "GMT", "UTC"} {
		if strings.EqualFold(rest, utc) {
			p.i = len(p.s)
			return 0, true
		}
	}
	if rest == "" {
		return 0, true
	}
	sign := Ticks(1)
	switch p.next() {
	case '+':
	case '-':
		sign = -1
	default:
		return 0, false
	}
	hour, hw := p.digits(2)
	if p.peek() == ':' {
		p.i++
	}
	minute, mw := p.digits(2)
	if hw != 2 || mw == 1 || hour > 14 || minute > 59 {
		return 0, false
	}
	return sign * (Ticks(hour)*ticksPerHour + Ticks(minute)*ticksPerMinute), true
}

var monthNames = [...]string{
	"January", "February", "March", "April", "May", "June",
	"July", "August", "September", "October", "November", "December",
}

var weekdayNames = [...]string{
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
}

// rfc1123 reads [Mon, ]02 Jan 2006 15:04:05 GMT.
func (p *dateParser) rfc1123() (Ticks, bool) {
	day := ""
	if i := strings.IndexByte(p.s, ','); i > 0 {
		day = p.s[:i]
		p.i = i + 1
		p.spaces()
	}
	n, width := p.digits(2)
	if width == 0 || p.next() != ' ' {
		return 0, false
	}
	month, ok := p.month()
	if !ok || p.next() != ' ' {
		return 0, false
	}
	year, yw := p.digits(4)
	d := date{year, month, n}
	if yw != 4 || !d.valid() || day != "" && !isShortOf(day, weekdayNames[weekday(d.ticks())]) {
		return 0, false
	}
	return p.timeOf(d)
}

func (p *dateParser) month() (int, bool) {
	from := p.i
	for p.i < len(p.s) && p.s[p.i] != ' ' {
		p.i++
	}
	for i, name := range monthNames {
		if isShortOf(p.s[from:p.i], name) {
			return i + 1, true
		}
	}
	return 0, false
}

// isShortOf reports that s is a name or its first three letters.
func isShortOf(s, name string) bool {
	return strings.EqualFold(s, name) || strings.EqualFold(s, name[:3])
}

func (p *dateParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *dateParser) next() byte {
	c := p.peek()
	p.i = min(p.i+1, len(p.s))
	return c
}

func (p *dateParser) spaces() {
	for p.peek() == ' ' {
		p.i++
	}
}

// digits reads at most most digits and tells how many.
func (p *dateParser) digits(most int) (n, width int) {
	for width < most && isDigit(p.peek()) {
		n = n*10 + int(p.next()-'0')
		width++
	}
	return n, width
}

func isDigit(c byte) bool { return c-'0' <= 9 }
