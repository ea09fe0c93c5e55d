package twinquery

import (
	"fmt"
	"math"
	"strings"
)

// A parser reads one query by recursive descent; tok is the token that it
// looks at, depth how deep the expression nests.
type parser struct {
	lexer
	tok   token
	depth int
}

var reserved = []string{"SELECT", "TOP", "FROM", "WHERE", "GROUP", "BY", "AS", "AND", "OR", "NOT", "IN", "NIN", "TRUE", "FALSE", "NULL", "UNDEFINED"}

func isReserved(s string) bool {
	for _, w := range reserved {
		if strings.EqualFold(s, w) {
			return true
		}
	}
	return false
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

func (p *parser) errorf(format string, args ...any) error {
	return &syntaxError{p.tok.pos, fmt.Sprintf(format, args...)}
}

// expected says what should stand where tok is, and names a word that tok is
// probably meant to be.
func (p *parser) expected(what string, words ...string) error {
	hint := ""
	if p.tok.kind == tokName {
		hint = suggest(p.tok.text, words)
	}
	return p.errorf("expected %s, found %s%s", what, p.tok.describe(), hint)
}

func (p *parser) isWord(w string) bool {
	return p.tok.kind == tokName && strings.EqualFold(p.tok.text, w)
}

func (p *parser) isSign(s string) bool { return p.tok.kind == tokSign && p.tok.text == s }

// word skips w if it is next.
func (p *parser) word(w string) (bool, error) {
	if !p.isWord(w) {
		return false, nil
	}
	return true, p.advance()
}

// sign skips s if it is next.
func (p *parser) sign(s string) (bool, error) {
	if !p.isSign(s) {
		return false, nil
	}
	return true, p.advance()
}

func (p *parser) wantWord(w string, also ...string) error {
	if ok, err := p.word(w); ok || err != nil {
		return err
	}
	return p.expected(strings.Join(append(also, w), " or "), append(also, w)...)
}

func (p *parser) wantSign(s string) error {
	if ok, err := p.sign(s); ok || err != nil {
		return err
	}
	return p.expected("'" + s + "'")
}

// query = SELECT [TOP n] list FROM collection [[AS] alias] [WHERE expr] [GROUP BY paths]
func (p *parser) query() (*Query, error) {
	q := &Query{}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if err := p.wantWord("SELECT"); err != nil {
		return nil, err
	}
	for _, clause := range []func(*Query) error{p.top, p.list, p.from, p.where, p.groupBy} {
		if err := clause(q); err != nil {
			return nil, err
		}
	}
	if p.tok.kind != tokEnd {
		switch {
		case q.GroupBy != nil:
			return nil, p.expected("the end of the query")
		case q.Where != nil:
			return nil, p.expected("AND, OR, GROUP BY or the end of the query", "AND", "OR", "GROUP", "IN", "NIN")
		default:
			return nil, p.expected("WHERE, GROUP BY or the end of the query", "WHERE", "GROUP")
		}
	}
	return q, nil
}

func (p *parser) top(q *Query) error {
	if ok, err := p.word("TOP"); !ok || err != nil {
		return err
	}
	n, ok := p.tok.value.(float64)
	if !ok || n != math.Trunc(n) || n < 1 || n > math.MaxInt32 {
		return p.expected("a whole number of rows over 0 after TOP")
	}
	q.Top = int(n)
	return p.advance()
}

func (p *parser) list(q *Query) error {
	if ok, err := p.sign("*"); ok || err != nil {
		return err
	}
	for {
		if p.isWord("FROM") || p.tok.kind == tokEnd {
			return p.expected("* or what to select")
		}
		x, err := p.expr()
		if err != nil {
			return err
		}
		item := Item{Expr: x}
		if ok, err := p.word("AS"); err != nil {
			return err
		} else if ok {
			if item.As, err = p.alias(); err != nil {
				return err
			}
		}
		q.Items = append(q.Items, item)
		if ok, err := p.sign(","); err != nil {
			return err
		} else if !ok {
			return nil
		}
	}
}

// alias = name | 'string' | [[name]]
func (p *parser) alias() (string, error) {
	switch {
	case p.tok.kind == tokString:
		s := p.tok.value.(string)
		if s == "" {
			return "", p.errorf("an alias cannot be empty")
		}
		return s, p.advance()
	case p.isDouble():
		return p.double()
	case p.tok.kind == tokName && !isReserved(p.tok.text):
		s := p.tok.text
		return s, p.advance()
	default:
		return "", p.expected("an alias after AS")
	}
}

func (p *parser) from(q *Query) error {
	if err := p.wantWord("FROM", "','"); err != nil {
		return err
	}
	start := p.tok
	if start.kind != tokName {
		return p.expected("devices or devices.modules")
	}
	path, err := p.path()
	if err != nil {
		return err
	}
	names := make([]string, len(path.Steps))
	for i, s := range path.Steps {
		names[i] = s.Name
	}
	switch name := strings.ToLower(strings.Join(names, ".")); name {
	case string(Devices), string(Modules):
		q.From = Collection(name)
	case "devices.jobs":
		return &syntaxError{start.pos, "this hub has no jobs: query devices or devices.modules"}
	default:
		known := []string{string(Devices), string(Modules)}
		return &syntaxError{start.pos, fmt.Sprintf("there is no collection %s: query devices or devices.modules%s", quote(name), suggest(name, known))}
	}
	return p.collectionAlias(q)
}

func (p *parser) collectionAlias(q *Query) error {
	as, err := p.word("AS")
	if err != nil {
		return err
	}
	if p.tok.kind != tokName || isReserved(p.tok.text) {
		if as {
			return p.expected("a name after AS")
		}
		return nil
	}
	if h := suggest(p.tok.text, []string{"WHERE", "GROUP"}); h != "" && !as {
		return p.expected("WHERE, GROUP BY or the end of the query", "WHERE", "GROUP")
	}
	q.Alias = p.tok.text
	return p.advance()
}

func (p *parser) where(q *Query) error {
	ok, err := p.word("WHERE")
	if ok && err == nil {
		q.Where, err = p.expr()
	}
	return err
}

func (p *parser) groupBy(q *Query) error {
	if ok, err := p.word("GROUP"); !ok || err != nil {
		return err
	}
	if err := p.wantWord("BY"); err != nil {
		return err
	}
	for {
		if p.tok.kind != tokName || isReserved(p.tok.text) {
			return p.expected("a property after GROUP BY")
		}
		path, err := p.path()
		if err != nil {
			return err
		}
		q.GroupBy = append(q.GroupBy, path)
		if ok, err := p.sign(","); !ok || err != nil {
			return err
		}
	}
}
