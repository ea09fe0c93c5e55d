package lake

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"time"
)

func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "21.43", "9007199254740993", "-1e400", "1E2", "0.1234567890123456789", "123456789012345678901234567890"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) || s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') || s[len(s)-1] <= ' ' {
			return
		}
		want, err := strconv.ParseFloat(s, 64)
		got, ok := parseNumber([]byte(s))
		if ok && (err != nil || math.Float64bits(got) != math.Float64bits(want)) {
			t.Errorf("%s = %v, want %v, %v", s, got, want, err)
		}
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && ok && int64(got) != n {
			t.Errorf("%s became %v", s, got)
		}
		if err == nil && math.Abs(want) < 1<<52 && !ok {
			t.Errorf("%s is refused", s)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-02-28T23:59:59.123456Z", "2024-02-29T00:00:00Z", "1970-01-01T00:00:00.1Z", "2026-11-25T01:02:03+01:00", "9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := time.Parse(time.RFC3339Nano, s)
		got, exact, ok := parseTime([]byte(s))
		inside := err == nil && want.UnixMicro() >= earliest && want.UnixMicro() <= latest
		if ok != inside || ok && got != want.UnixMicro() {
			t.Errorf("%s = %v, %t; want %v, %v", s, got, ok, want, err)
		}
		if exact && !time.UnixMicro(got).Equal(want) {
			t.Errorf("%s is not exactly %v", s, time.UnixMicro(got))
		}
	})
}
