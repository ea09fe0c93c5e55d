package saql

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// patIndex is PATINDEX(pattern, s): the position of a LIKE pattern, or 0.
func patIndex(args []Value) (Value, error) {
	return Bigint(CompileLike(args[0].Str()).Index(args[1].Str())), nil
}

func bindPatIndex(pattern string) (func(args []Value) (Value, error), error) {
	p := CompileLike(pattern)
	return func(args []Value) (Value, error) {
		return Bigint(p.Index(args[1].Str())), nil
	}, nil
}

// MatchLike returns s LIKE pattern as a bit.
func MatchLike(s, pattern Value) (Value, error) {
	if pattern.kind != KindNull && pattern.kind != KindString {
		return Null, fmt.Errorf("the pattern of LIKE is of type '%s'; expected '%s'", pattern.kind, KindString)
	}
	if s.kind == KindNull || pattern.kind == KindNull {
		return Null, nil
	}
	return CompileLike(pattern.Str()).MatchValue(s)
}

// MatchValue returns s LIKE the pattern as a bit: NULL of NULL, an error if s
// is no string.
func (p *LikePattern) MatchValue(s Value) (Value, error) {
	switch s.kind {
	case KindNull:
		return Null, nil
	case KindString:
		return Bit(p.Match(s.Str())), nil
	}
	return Null, fmt.Errorf("LIKE does not take '%s'; CAST it to '%s'", s.kind, KindString)
}

// regexMatch is REGEXMATCH(s, pattern): the position of the first match of an
// ECMAScript expression, in any case, or 0. An invalid expression matches
// nothing; one that only lacks support here is an error.
func regexMatch(args []Value) (Value, error) {
	re, err := compileRegex(args[1].Str())
	if err != nil {
		return Null, err
	}
	return regexIndex(re, args[0].Str()), nil
}

func bindRegexMatch(pattern string) (func(args []Value) (Value, error), error) {
	re, err := compileRegex(pattern)
	if err != nil {
		return nil, err
	}
	return func(args []Value) (Value, error) {
		return regexIndex(re, args[0].Str()), nil
	}, nil
}

// regexIndex takes a nil expression for one that is invalid.
func regexIndex(re *regexp.Regexp, s string) Value {
	if re == nil {
		return Bigint(0)
	}
	at := re.FindStringIndex(s)
	if at == nil {
		return Bigint(0)
	}
	return Bigint(int64(utf16Len(s[:at[0]])) + 1)
}

// compileRegex returns nil for an invalid expression.
func compileRegex(pattern string) (*regexp.Regexp, error) {
	if what := unsupportedRegex(pattern); what != "" {
		return nil, fmt.Errorf("REGEXMATCH does not support %s in %.64q", what, pattern)
	}
	re, err := regexp.Compile("(?i)" + goRegex(pattern))
	var bad *syntax.Error
	if errors.As(err, &bad) && (bad.Code == syntax.ErrInvalidRepeatSize || bad.Code == syntax.ErrLarge || bad.Code == syntax.ErrNestingDepth) {
		return nil, fmt.Errorf("REGEXMATCH does not support as many repetitions as in %.64q", pattern)
	}
	if err != nil {
		return nil, nil
	}
	return re, nil
}

// unsupportedRegex names what of ECMAScript needs backtracking.
func unsupportedRegex(pattern string) string {
	for i := 0; i < len(pattern)-1; i++ {
		rest := pattern[i:]
		switch {
		case rest[0] == '\\':
			i++
			if rest[1] >= '1' && rest[1] <= '9' || rest[1] == 'k' {
				return "back references"
			}
		case strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!"):
			return "look-ahead"
		case strings.HasPrefix(rest, "(?<=") || strings.HasPrefix(rest, "(?<!"):
			return "look-behind"
		}
	}
	return ""
}

// goRegex rewrites the escapes that ECMAScript and Go spell differently.
func goRegex(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '\\' || i+1 == len(pattern) {
			b.WriteByte(pattern[i])
			continue
		}
		i++
		switch c := pattern[i]; {
		case c == 'u' && isHex(pattern, i+1, 4):
			b.WriteString(`\x{` + pattern[i+1:i+5] + `}`)
			i += 4
		case c == 'c' && i+1 < len(pattern):
			fmt.Fprintf(&b, `\x%02x`, pattern[i+1]&0x1F)
			i++
		case c == '/' || c == '"' || c == '\'' || c == ' ':
			b.WriteByte(c)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(s string, from, n int) bool {
	if from+n > len(s) {
		return false
	}
	_, err := strconv.ParseUint(s[from:from+n], 16, 32)
	return err == nil
}
