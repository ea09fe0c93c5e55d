package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Size is a number of bytes, written as 64MB.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10},
	{"TIB", 1 << 40}, {"GIB", 1 << 30}, {"MIB", 1 << 20}, {"KIB", 1 << 10}, {"B", 1}}

// ParseSize reads a size: a whole number and B, KB, MB, GB or TB (KiB … mean the same), or 0.
func ParseSize(s string) (Size, error) {
	number, factor := strings.TrimSpace(s), int64(0)
	for _, u := range units {
		if n, ok := strings.CutSuffix(strings.ToUpper(number), u.name); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil || n < 0 || (factor == 0 && n != 0):
		return 0, fmt.Errorf("%q is not a size: write a whole number with its unit, such as 512KB, 64MB or 10GB", s)
	case factor > 0 && n > math.MaxInt64/factor:
		return 0, fmt.Errorf("%q is too large", s)
	}
	return Size(n * factor), nil
}

// String writes s with the largest unit that divides it.
func (s Size) String() string {
	if s == 0 {
		return "0"
	}
	for _, u := range units {
		if int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B" // not reached: B divides all
}

// UnmarshalText makes a Size readable from YAML.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// MarshalText is the inverse of UnmarshalText.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
