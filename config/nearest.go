package config

// nearest returns the candidate that is most like word, or "" where none is
// near enough to have been meant.
func nearest(word string, candidates []string) string {
	best, at := "", 1+len(word)/3
	for _, c := range candidates {
		if d := distance(word, c); d <= at {
			best, at = c, d-1
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b without regard to the case
// of ASCII letters.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if lower(a[i]) != lower(b[j]) {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
