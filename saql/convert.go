package saql

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Convert returns v as type to, as CAST does. NULL stays NULL. An error names
// the value and both types.
func Convert(v Value, to Type) (Value, error) {
	if v.kind == to || v.kind == KindNull {
		return v, nil
	}
	switch to {
	case KindBigint:
		return castBigint(v)
	case KindFloat:
		return castFloat(v)
	case KindString:
		return castString(v)
	case KindDatetime:
		return castDatetime(v)
	case KindBit:
		return castBit(v)
	}
	return Null, castError(v, to)
}

// TryConvert returns v as type to, or NULL where Convert fails, as TRY_CAST does.
func TryConvert(v Value, to Type) Value {
	c, err := Convert(v, to)
	if err != nil {
		return Null
	}
	return c
}

func castError(v Value, to Type) error {
	if v.kind == KindString {
		return fmt.Errorf("cannot cast the value %.64q of type '%s' to type '%s'; TRY_CAST gives NULL", v.Str(), v.kind, to)
	}
	return fmt.Errorf("cannot cast a value of type '%s' to type '%s'; TRY_CAST gives NULL", v.kind, to)
}

func castBigint(v Value) (Value, error) {
	switch v.kind {
	case KindFloat:
		return Bigint(truncate(v.Float())), nil
	case KindString:
		s := strings.Trim(v.Str(), dotnetSpace)
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return Bigint(n), nil
		}
		if f, ok := parseNumber(s); ok && f >= -(1<<63) && f < 1<<63 {
			return Bigint(int64(f)), nil
		}
	}
	return Null, castError(v, KindBigint)
}

func castFloat(v Value) (Value, error) {
	switch v.kind {
	case KindBigint, KindBit:
		return Float(v.number()), nil
	case KindString:
		if f, ok := parseNumber(strings.Trim(v.Str(), dotnetSpace)); ok {
			return Float(f), nil
		}
	}
	return Null, castError(v, KindFloat)
}

func castBit(v Value) (Value, error) {
	switch v.kind {
	case KindBigint:
		return Bit(v.num != 0), nil
	case KindFloat:
		return Bit(v.Float() != 0), nil
	case KindString:
		s := strings.Trim(v.Str(), dotnetSpace)
		switch {
		case strings.EqualFold(s, "true"):
			return Bit(true), nil
		case strings.EqualFold(s, "false"):
			return Bit(false), nil
		}
		if f, ok := parseNumber(s); ok {
			return Bit(f != 0), nil
		}
	}
	return Null, castError(v, KindBit)
}

func castString(v Value) (Value, error) {
	switch v.kind {
	case KindBigint, KindFloat, KindDatetime:
		return String(string(appendText15(nil, v))), nil
	}
	return Null, castError(v, KindString)
}

func castDatetime(v Value) (Value, error) {
	if v.kind != KindString {
		return Null, castError(v, KindDatetime)
	}
	t, err := ParseDatetime(v.Str())
	switch {
	case errors.Is(err, errDateRange):
		return Null, fmt.Errorf("%w: %.64q", err, v.Str())
	case err != nil:
		return Null, castError(v, KindDatetime)
	}
	return Datetime(t), nil
}

// dotnetSpace is the white space that .NET allows around a number.
const dotnetSpace = " \t\n\v\f\r"

// parseNumber reads a number as .NET does with NumberStyles.Float and
// AllowThousands: commas are skipped behind the first digit of the integer
// part, wherever they are. Names such as NaN are no numbers.
func parseNumber(s string) (float64, bool) {
	const most = 1100 // digits: more do not change a float
	if len(s) > most {
		return 0, false
	}
	var buf [48]byte
	clean := buf[:0]
	digits, fraction := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(c):
			digits = true
		case c == ',':
			if !digits || fraction {
				return 0, false
			}
			continue
		case c == '.', c == 'e', c == 'E':
			fraction = true
		case c != '+' && c != '-':
			return 0, false
		}
		clean = append(clean, s[i])
	}
	f, err := strconv.ParseFloat(string(clean), 64)
	return f, err == nil
}

// appendText15 appends a bigint, float or datetime as CAST to nvarchar does: a
// float has 15 significant digits, as .NET Framework writes it.
func appendText15(b []byte, v Value) []byte {
	switch v.kind {
	case KindBigint:
		return strconv.AppendInt(b, v.Bigint(), 10)
	case KindFloat:
		if v.Float() == 0 {
			return append(b, '0') // of -0, too
		}
		return appendFloat(b, v.Float(), 15)
	default:
		return v.Datetime().AppendText(b)
	}
}

// appendFloat appends f in .NET's general format with that many significant
// digits, -1 for the fewest that read back as f: scientific (1.5E-05, 1E+21)
// from 1E+15 up and below 0.0001.
func appendFloat(b []byte, f float64, digits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if abs := math.Abs(f); digits < 0 && (abs < 1e15 && abs >= 1e-4 || abs == 0) {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	var buf [32]byte
	// d.ddde±xx, which tells the exponent after rounding.
	e := strconv.AppendFloat(buf[:0], f, 'e', max(digits-1, -1), 64)
	at := len(e) - 1
	for e[at] != 'e' {
		at--
	}
	exponent, _ := strconv.Atoi(string(e[at+1:]))
	mantissa := trimZeros(e[:at])
	if exponent >= 15 || exponent < -4 {
		b = append(b, mantissa...)
		b = append(b, 'E')
		return append(b, e[at+1:]...)
	}
	return appendFixed(b, mantissa, exponent)
}

// trimZeros drops the zeros at the end of a fraction, and its point if nothing
// is left.
func trimZeros(m []byte) []byte {
	point := -1
	for i, c := range m {
		if c == '.' {
			point = i
		}
	}
	if point < 0 {
		return m
	}
	for m[len(m)-1] == '0' {
		m = m[:len(m)-1]
	}
	if len(m)-1 == point {
		m = m[:point]
	}
	return m
}

// appendFixed appends mantissa × 10^exponent without an exponent.
func appendFixed(b, mantissa []byte, exponent int) []byte {
	if mantissa[0] == '-' {
		b, mantissa = append(b, '-'), mantissa[1:]
	}
	digits := append(append([]byte(nil), mantissa[0]), mantissa[min(2, len(mantissa)):]...)
	if exponent < 0 {
		b = append(b, "0."...)
		for range -exponent - 1 {
			b = append(b, '0')
		}
		return append(b, digits...)
	}
	for i := 0; i <= exponent || i < len(digits); i++ {
		if i == exponent+1 {
			b = append(b, '.')
		}
		if i < len(digits) {
			b = append(b, digits[i])
		} else {
			b = append(b, '0')
		}
	}
	return b
}
