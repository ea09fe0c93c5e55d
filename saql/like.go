package saql

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A LikePattern is a compiled pattern of LIKE and PATINDEX: % is any text, _ any
// character, [a-f] one of a set, [^a-f] one not of it. It is case-sensitive.
type LikePattern struct {
	// segments are what stands between the %: the first is at the begin of the
	// text, the last at its end.
	segments []likeSegment
}

type likeSegment []likeToken

// A likeToken is a literal text or one character.
type likeToken struct {
	literal string
	ranges  []rune // pairs of ends; nil: any character
	not     bool
}

// CompileLike compiles a pattern. A [ that is never closed stands for itself.
func CompileLike(pattern string) *LikePattern {
	p := &LikePattern{segments: []likeSegment{nil}}
	last := func() *likeSegment { return &p.segments[len(p.segments)-1] }
	for pattern != "" {
		token, size := nextLikeToken(pattern)
		switch {
		case pattern[0] == '%':
			p.segments = append(p.segments, nil)
		case token.literal != "" && len(*last()) > 0 && (*last())[len(*last())-1].literal != "":
			(*last())[len(*last())-1].literal += token.literal
		default:
			*last() = append(*last(), token)
		}
		pattern = pattern[size:]
	}
	return p
}

func nextLikeToken(pattern string) (likeToken, int) {
	switch pattern[0] {
	case '_':
		return likeToken{}, 1
	case '[':
		if token, size := likeSet(pattern); size > 0 {
			return token, size
		}
	}
	_, size := utf8.DecodeRuneInString(pattern)
	return likeToken{literal: pattern[:size]}, size
}

// likeSet reads [a-f] or [^a-f]; size 0 if it is not closed. A ] in the first
// place is a member.
func likeSet(pattern string) (t likeToken, size int) {
	body := pattern[1:]
	if strings.HasPrefix(body, "^") {
		t.not = true
		body = body[1:]
	}
	if body == "" {
		return t, 0
	}
	end := strings.IndexByte(body[1:], ']') + 1
	if end == 0 {
		return t, 0
	}
	members := []rune(body[:end])
	t.ranges = []rune{}
	for i := 0; i < len(members); i++ {
		low, high := members[i], members[i]
		if i+2 < len(members) && members[i+1] == '-' {
			high = members[i+2]
			i += 2
		}
		t.ranges = append(t.ranges, low, high)
	}
	return t, len(pattern) - len(body) + end + 1
}

// Match reports that s as a whole fits the pattern.
func (p *LikePattern) Match(s string) bool { return p.find(s) >= 0 }

// Index returns the position of the first fit of the pattern, in UTF-16 code
// units from 1, 0 if there is none: where what follows a leading % begins.
func (p *LikePattern) Index(s string) int64 {
	i := p.find(s)
	if i < 0 {
		return 0
	}
	return int64(utf16Len(s[:i])) + 1
}

// find returns where the fit begins, without what a leading % takes, or -1.
func (p *LikePattern) find(s string) int {
	first, rest := p.segments[0], p.segments[1:]
	at := first.matchAt(s, 0)
	if at < 0 {
		return -1
	}
	if len(rest) == 0 {
		if at != len(s) {
			return -1
		}
		return 0
	}
	begin := -1
	if len(first) > 0 {
		begin = 0
	}
	for _, g := range rest[:len(rest)-1] {
		if len(g) == 0 {
			continue
		}
		from, to := g.search(s, at)
		if from < 0 {
			return -1
		}
		if begin < 0 {
			begin = from
		}
		at = to
	}
	last := rest[len(rest)-1]
	tail := last.matchEnd(s, at)
	switch {
	case tail < 0:
		return -1
	case begin >= 0:
		return begin
	case len(last) == 0:
		return 0 // nothing but %
	}
	return tail
}

// matchAt returns where a fit that begins at i ends, or -1.
func (g likeSegment) matchAt(s string, i int) int {
	for _, t := range g {
		if t.literal != "" {
			if !strings.HasPrefix(s[i:], t.literal) {
				return -1
			}
			i += len(t.literal)
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if size == 0 || !t.takes(r) {
			return -1
		}
		i += size
	}
	return i
}

// search returns the first fit from i on, or -1.
func (g likeSegment) search(s string, i int) (from, to int) {
	for ; ; i++ {
		if first := g[0].literal; first != "" {
			skip := strings.Index(s[i:], first)
			if skip < 0 {
				return -1, -1
			}
			i += skip
		} else if i < len(s) && !utf8.RuneStart(s[i]) {
			continue
		}
		if to := g.matchAt(s, i); to >= 0 {
			return i, to
		}
		if i >= len(s) {
			return -1, -1
		}
	}
}

// matchEnd returns where a fit that ends with s and begins at i or later
// begins, or -1.
func (g likeSegment) matchEnd(s string, i int) int {
	from := len(s)
	for _, t := range slices.Backward(g) {
		if t.literal != "" {
			from -= len(t.literal)
			continue
		}
		if from <= i {
			return -1
		}
		_, size := utf8.DecodeLastRuneInString(s[i:from])
		from -= size
	}
	if from < i || g.matchAt(s, from) != len(s) {
		return -1
	}
	return from
}

func (t likeToken) takes(r rune) bool {
	if t.ranges == nil {
		return true
	}
	for i := 0; i < len(t.ranges); i += 2 {
		if t.ranges[i] <= r && r <= t.ranges[i+1] {
			return !t.not
		}
	}
	return t.not
}
