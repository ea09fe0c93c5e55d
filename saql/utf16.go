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

// utf16Offset returns where the code unit n of s begins in bytes, the
// character's begin for the second half of a pair, -1 behind the end.
func utf16Offset(s string, n int) int {
	for i := 0; ; {
		if n == 0 {
			return i
		}
		if i == len(s) {
			return -1
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r > 0xFFFF {
			if n == 1 {
				return i
			}
			n--
		}
		n--
		i += size
	}
}

// utf16Slice returns the code units of s from from to to (exclusive), cut at
// the end of s. Half a pair becomes U+FFFD.
func utf16Slice(s string, from, to int64) string {
	if from >= to || from >= int64(len(s)) {
		return ""
	}
	to = min(to, int64(len(s)))
	if isASCII(s) {
		return s[from:to]
	}
	begin, end, at := len(s), len(s), int64(0)
	head, tail := "", ""
	for i, r := range s {
		width := int64(1)
		if r > 0xFFFF {
			width = 2
		}
		if at >= from && begin == len(s) {
			begin = i
			if at > from {
				head = "\uFFFD"
			}
		}
		if at+width > to {
			end = i
			if at < to && (at >= from) {
				tail = "\uFFFD"
			}
			break
		}
		at += width
	}
	if begin > end {
		return head
	}
	if head == "" && tail == "" {
		return s[begin:end]
	}
	return head + s[begin:end] + tail
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
