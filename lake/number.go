package lake

import (
	"math"
	"strconv"
	"time"
	"unsafe"
)

// maxExact is 2^53: integers beyond it are not all doubles.
const maxExact = 1 << 53

var powersOf10 = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseNumber reads a JSON number. It is not ok if a double would be another
// number than an integer that was written, or infinite.
func parseNumber(text []byte) (f float64, ok bool) {
	digits, i := uint64(0), 0
	negative := text[0] == '-'
	if negative {
		i++
	}
	from := i
	for i < len(text) && text[i]-'0' <= 9 {
		digits = digits*10 + uint64(text[i]-'0')
		i++
	}
	count, scale := i-from, 0
	if i < len(text) && text[i] == '.' {
		from = i + 1
		for i = from; i < len(text) && text[i]-'0' <= 9; i++ {
			digits = digits*10 + uint64(text[i]-'0')
		}
		scale = i - from
		count += scale
	}
	// A quotient of two exact doubles is rounded once, as the nearest double is.
	if i == len(text) && count <= 19 && digits <= maxExact && scale < len(powersOf10) {
		f = float64(digits) / powersOf10[scale]
		if negative {
			f = -f
		}
		return f, true
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
	integer := i == len(text) && scale == 0
	return f, err == nil && !(integer && math.Abs(f) >= maxExact)
}

// A table's times are of the years 1678 to 2261: what readers that count
// nanoseconds can hold.
var (
	earliest = time.Unix(0, math.MinInt64).UnixMicro() + 1
	latest   = time.Unix(0, math.MaxInt64).UnixMicro()
)

// parseTime reads a time of RFC 3339 to microseconds since 1970. It is not ok
// if the text is none or outside of what a table holds; exact tells that the
// text could be made of the microseconds.
func parseTime(text []byte) (us int64, exact, ok bool) {
	us, exact, ok = parseUTC(text)
	if !ok {
		t, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			return 0, false, false
		}
		us = t.UnixMicro()
	}
	return us, exact, earliest <= us && us <= latest
}

// parseUTC reads 2006-01-02T15:04:05Z, with up to 6 digits of a fraction.
func parseUTC(b []byte) (us int64, exact, ok bool) {
	n := len(b)
	if n < 20 || n > 27 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[n-1] != 'Z' {
		return 0, false, false
	}
	century, year := two(b[0:]), two(b[2:])
	month, day := two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	if century-1 > 98 || year > 99 || month-1 > 11 || day-1 > 27 || hour > 23 || minute > 59 || second > 59 {
		return 0, false, false // the first century and days after the 28th go the slow way, too
	}
	micros := uint(0)
	if n > 20 {
		if b[19] != '.' || n == 21 {
			return 0, false, false
		}
		for _, c := range b[20 : n-1] {
			if c-'0' > 9 {
				return 0, false, false
			}
			micros = micros*10 + uint(c-'0')
		}
		for range 27 - n {
			micros *= 10
		}
	}
	days := daysSince1970(int64(century*100+year), int64(month), int64(day))
	seconds := days*86400 + int64(hour*3600+minute*60+second)
	return seconds*1e6 + int64(micros), true, true
}

// two reads two digits, more than 99 if they are none.
func two(b []byte) uint {
	tens, ones := uint(b[0]-'0'), uint(b[1]-'0')
	if tens > 9 || ones > 9 {
		return 100
	}
	return tens*10 + ones
}

// daysSince1970 counts days of the Gregorian calendar, with years that begin in
// March so that the leap day is the last.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 719469
}
