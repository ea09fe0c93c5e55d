package saql

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
)

// words returns all texts over an alphabet up to a length.
func words(alphabet string, most int) []string {
	all := []string{""}
	for from := 0; most > 0; most-- {
		end := len(all)
		for _, w := range all[from:end] {
			for _, c := range alphabet {
				all = append(all, w+string(c))
			}
		}
		from = end
	}
	return all
}

// TestLikeAgainstRegexp compares all short patterns with regular expressions.
func TestLikeAgainstRegexp(t *testing.T) {
	toRegexp := strings.NewReplacer("%", "(?s:.*)", "_", "(?s:.)")
	for _, pattern := range words("aä%_", 5) {
		p := CompileLike(pattern)
		whole := regexp.MustCompile("^" + toRegexp.Replace(pattern) + "$")
		inner := regexp.MustCompile("(?:" + toRegexp.Replace(strings.TrimLeft(pattern, "%")) + ")$")
		for _, s := range words("aäb", 4) {
			if got, want := p.Match(s), whole.MatchString(s); got != want {
				t.Fatalf("%q LIKE %q is %t", s, pattern, got)
			}
			want := int64(0)
			if whole.MatchString(s) {
				want = 1
				if at := inner.FindStringIndex(s); strings.HasPrefix(pattern, "%") && strings.Trim(pattern, "%") != "" {
					want = int64(utf16Len(s[:at[0]])) + 1
				}
			}
			if got := p.Index(s); got != want {
				t.Fatalf("PATINDEX(%q, %q) is %d, want %d", pattern, s, got, want)
			}
		}
	}
}

func TestUTF16Slice(t *testing.T) {
	for _, s := range words("aä😀", 4) {
		units := utf16.Encode([]rune(s))
		if got := utf16Len(s); got != len(units) {
			t.Fatalf("%q has %d code units, want %d", s, got, len(units))
		}
		for from := range len(units) + 2 {
			for to := range len(units) + 2 {
				want := ""
				if low, high := min(from, len(units)), min(to, len(units)); low < high {
					want = string(utf16.Decode(units[low:high]))
				}
				if got := utf16Slice(s, int64(from), int64(to)); got != want {
					t.Fatalf("%q from %d to %d is %q, want %q", s, from, to, got, want)
				}
			}
		}
	}
}
