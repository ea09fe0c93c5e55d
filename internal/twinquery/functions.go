package twinquery

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A function takes values that may be Undefined and returns one.
type function struct {
	name     string
	min, max int // arguments
	eval     func(args []any) any
}

// many is a max that is no bound.
const many = math.MaxInt

// functions holds the functions of the language by canonical name.
var functions = index(
	is("IS_DEFINED", func(t int) bool { return t != typeUndefined }),
	is("IS_NULL", func(t int) bool { return t == typeNull }),
	is("IS_BOOL", func(t int) bool { return t == typeBool }),
	is("IS_NUMBER", func(t int) bool { return t == typeNumber }),
	is("IS_STRING", func(t int) bool { return t == typeString }),
	is("IS_ARRAY", func(t int) bool { return t == typeArray }),
	is("IS_OBJECT", func(t int) bool { return t == typeObject }),
	is("IS_PRIMITIVE", func(t int) bool { return typeNull <= t && t <= typeString }),

	math1("ABS", math.Abs),
	math1("CEILING", math.Ceil),
	math1("EXP", math.Exp),
	math1("FLOOR", math.Floor),
	math1("SIGN", sign),
	math1("SQRT", math.Sqrt),
	math1("SQUARE", func(x float64) float64 { return x * x }),
	function{"POWER", 2, 2, power},
	function{"AS_NUMBER", 1, 1, asNumber},

	function{"CONCAT", 2, many, concat},
	function{"LENGTH", 1, 1, length},
	function{"SUBSTRING", 2, 3, substring},
	function{"INDEX_OF", 2, 2, indexOf},
	string1("LOWER", strings.ToLower),
	string1("UPPER", strings.ToUpper),
	string2("STARTS_WITH", strings.HasPrefix),
	string2("ENDS_WITH", strings.HasSuffix),
	string2("CONTAINS", strings.Contains),
)

func index(fs ...function) map[string]function {
	m := make(map[string]function, len(fs))
	for _, f := range fs {
		m[canonical(f.name)] = f
	}
	return m
}

// functionNames are all that can be called, for suggestions.
func functionNames() []string {
	names := slices.Clone(aggregateNames)
	for _, f := range functions {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

func (f function) checkArity(c *Call) error {
	n := len(c.Args)
	if f.min <= n && n <= f.max {
		return nil
	}
	want := strconv.Itoa(f.min)
	switch f.max {
	case f.min:
	case many:
		want += " or more"
	default:
		want += " to " + strconv.Itoa(f.max)
	}
	return &syntaxError{c.Pos, fmt.Sprintf("%s takes %s arguments, found %d", f.name, want, n)}
}

func is(name string, test func(t int) bool) function {
	return function{name, 1, 1, func(args []any) any { return test(typeOf(args[0])) }}
}

func math1(name string, f func(float64) float64) function {
	return function{name, 1, 1, func(args []any) any {
		if x, ok := number(args[0]); ok {
			return finite(f(x))
		}
		return Undefined
	}}
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func power(args []any) any {
	x, okX := number(args[0])
	y, okY := number(args[1])
	if !okX || !okY {
		return Undefined
	}
	return finite(math.Pow(x, y))
}

func asNumber(args []any) any {
	if f, ok := number(args[0]); ok {
		return f
	}
	s, ok := args[0].(string)
	if !ok {
		return Undefined
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return Undefined
	}
	return finite(f)
}

func string1(name string, f func(string) string) function {
	return function{name, 1, 1, func(args []any) any {
		if s, ok := args[0].(string); ok {
			return f(s)
		}
		return Undefined
	}}
}

func string2(name string, f func(s, part string) bool) function {
	return function{name, 2, 2, func(args []any) any {
		s, okS := args[0].(string)
		part, okPart := args[1].(string)
		if !okS || !okPart {
			return Undefined
		}
		return f(s, part)
	}}
}

func concat(args []any) any {
	var b strings.Builder
	for _, a := range args {
		s, ok := a.(string)
		if !ok {
			return Undefined
		}
		b.WriteString(s)
	}
	return b.String()
}

// length counts characters, as substring and indexOf do.
func length(args []any) any {
	if s, ok := args[0].(string); ok {
		return float64(utf8.RuneCountInString(s))
	}
	return Undefined
}

// substring is SUBSTRING(string, start from 0 [, length]).
func substring(args []any) any {
	s, ok := args[0].(string)
	if !ok {
		return Undefined
	}
	rest := []rune(s)
	for i, a := range args[1:] {
		f, ok := number(a)
		if !ok || f != math.Trunc(f) {
			return Undefined
		}
		n := int(min(max(f, 0), float64(len(rest))))
		if i == 0 {
			rest = rest[n:]
		} else {
			rest = rest[:n]
		}
	}
	return string(rest)
}

// indexOf is INDEX_OF(string, fragment): -1 if it is not there.
func indexOf(args []any) any {
	s, okS := args[0].(string)
	part, okPart := args[1].(string)
	if !okS || !okPart {
		return Undefined
	}
	i := strings.Index(s, part)
	if i < 0 {
		return -1.0
	}
	return float64(utf8.RuneCountInString(s[:i]))
}
