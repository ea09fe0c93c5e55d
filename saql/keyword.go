package saql

import (
	"slices"
	"strings"
)

// reserved lists the keywords that are names only when they are quoted or
// follow a dot. All others, TIMESTAMP, LIMIT or LEFT say, are keywords just
// where the grammar expects them.
var reserved = []string{
	"AND", "AS", "BETWEEN", "BY", "CASE", "CREATE", "DISTINCT", "ELSE", "END", "FROM",
	"GROUP", "HAVING", "IN", "INTO", "IS", "JOIN", "LIKE", "NOT", "NULL", "ON", "OR",
	"OVER", "SELECT", "THEN", "UNION", "WHERE", "WITH",
}

// notAlias lists the keywords that, besides the reserved ones, end an item or
// a source: an alias without AS is called otherwise.
var notAlias = []string{"CROSS", "FULL", "INNER", "LEFT", "MATCH_RECOGNIZE", "OUTER", "RIGHT"}

// phrases lists the keywords that a misspelt word may have meant, with the word
// that must follow.
var phrases = []string{
	"AND", "APPLY", "BETWEEN", "CASE", "CREATE TABLE", "CROSS APPLY", "DISTINCT", "DURATION", "ELSE", "FROM",
	"GROUP BY", "HAVING", "INNER JOIN", "INTO", "JOIN", "LEFT JOIN", "LIKE", "LIMIT DURATION", "NULL", "ORDER BY",
	"OUTER APPLY", "OVER", "PARTITION BY", "SELECT", "TABLE", "THEN", "TIMESTAMP BY", "UNION", "WHEN", "WHERE", "WITH",
}

func isReserved(word string) bool { return slices.Contains(reserved, strings.ToUpper(word)) }

// meantKeyword returns the keyword that a word may have meant, or "".
func meantKeyword(word string) string {
	if len(word) < 3 {
		return ""
	}
	words := make([]string, len(phrases))
	for i, p := range phrases {
		words[i], _, _ = strings.Cut(p, " ")
	}
	near := Nearest(word, words)
	if near == "" {
		return ""
	}
	return phrases[slices.Index(words, near)]
}
