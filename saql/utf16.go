package saql

import "unicode/utf8"

// Positions and lengths of strings count UTF-16 code units, as .NET does: a
// character beyond U+FFFF counts two. Strings themselves are UTF-8.

// utf16Len returns the length of s in code units.
func utf16Len(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < utf8.RuneSelf:
			n++
		case c >= 0xF0: // begins four bytes
			n += 2
		case c >= 0xC0: // begins two or three
			n++
		}
	}
	return n
}

// utf16Offset returns where the character that the code unit n of s lies in
// begins, in bytes, and whether n is the second half of a pair. Behind the end
// that is len(s).
func utf16Offset(s string, n int64) (offset int, half bool) {
	for i, r := range s {
		width := int64(1)
		if r > 0xFFFF {
			width = 2
		}
		if n < width {
			return i, n > 0
		}
		n -= width
	}
	return len(s), false
}

// utf16Slice returns the code units of s from from to to (exclusive), cut at
// the end of s. Half a pair becomes U+FFFD.
func utf16Slice(s string, from, to int64) string {
	if from >= to {
		return ""
	}
	if isASCII(s) {
		return s[min(from, int64(len(s))):min(to, int64(len(s)))]
	}
	begin, inside := utf16Offset(s, from)
	end, cut := utf16Offset(s, to)
	switch {
	case begin == end && inside == cut:
		return ""
	case begin == end:
		return "\uFFFD"
	}
	part := ""
	if inside {
		part = "\uFFFD"
		begin += 4 // bytes of a pair
	}
	if part += s[begin:end]; cut {
		part += "\uFFFD"
	}
	return part
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
