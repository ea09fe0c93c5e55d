package twinquery

import "strings"

// suggest returns ": did you mean X?" for the word of words that is nearest to
// s, or "" if none is near.
func suggest(s string, words []string) string {
	best, most := "", 1+len(s)/3
	for _, w := range words {
		if d := distance(canonical(s), canonical(w)); d <= most && (best == "" || d < most) {
			best, most = w, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// canonical is a word without case and underscores: STARTS_WITH and startsWith
// are one function.
func canonical(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "_", "")) }

// distance is the number of letters to insert, remove, change or swap with
// their neighbour to make b of a. Words longer than any name are far away.
func distance(a, b string) int {
	const longest = 32
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
