package saql

import "unicode"

// Nearest returns the candidate that is most like word, or "" where none is
// near enough to have been meant.
func Nearest(word string, candidates []string) string {
	best, limit := "", min(max(1, len(word)/4), len(word)-1)
	for _, c := range candidates {
		if abs := len(c) - len(word); abs > limit || -abs > limit {
			continue
		}
		if d := distance(word, c); d <= limit {
			best, limit = c, d-1
		}
	}
	return best
}

// distance counts the letters that were left out, added, changed or swapped
// between a and b, without regard to case (optimal string alignment).
func distance(a, b string) int {
	x, y := lowerRunes(a), lowerRunes(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row[0] = i + 1
		for j := range y {
			d := last[j]
			if x[i] != y[j] {
				d++
			}
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				d = min(d, before[j-1]+1)
			}
			row[j+1] = min(d, row[j]+1, last[j+1]+1)
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

func lowerRunes(s string) []rune {
	runes := []rune(s)
	for i, r := range runes {
		runes[i] = unicode.ToLower(r)
	}
	return runes
}
