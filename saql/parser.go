package saql

import (
	"slices"
	"strings"
)

// Parse reads a script: CREATE TABLE statements, WITH steps and queries, with
// or without semicolons between them. It stops at the first syntax error, an
// *Error. Names are not looked up: that is Check's.
func Parse(src string) (*Script, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens, bareAlias: -1}
	s := p.script()
	if p.err != nil {
		return nil, p.err
	}
	return s, nil
}

// ParseExpr reads a single expression; errors are as those of Parse.
func ParseExpr(src string) (Expr, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens, bareAlias: -1}
	e := p.expression()
	if p.peek().kind != tokenEnd {
		p.unexpected("an operator or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

// A parser reads tokens by recursive descent. Its first error moves it to the
// end of the script, where nothing is accepted any more: so no production looks
// at errors, and what it returns after one is of no use.
type parser struct {
	tokens    []token
	next      int
	err       *Error
	queries   int  // that are open, one in the other
	operators int  // of the current expression
	timestamp bool // in TIMESTAMP BY: an OVER is that of the clause, not of a call
	bareAlias int  // token that was last taken for an alias without AS, -1: none
}

// Bounds of the height of a tree, so that whoever walks one may recurse.
const (
	maxQueries   = 100
	maxOperators = 10_000
)

func (p *parser) peek() token { return p.tokens[p.next] }

// peekAt returns the token n after the next.
func (p *parser) peekAt(n int) token { return p.tokens[min(p.next+n, len(p.tokens)-1)] }

// advance consumes the next token; the end stays.
func (p *parser) advance() token {
	t := p.peek()
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

// is reports that these keywords or symbols come next.
func (p *parser) is(texts ...string) bool {
	for i, text := range texts {
		if !p.peekAt(i).is(text) {
			return false
		}
	}
	return true
}

// accept consumes these keywords or symbols if all of them come next.
func (p *parser) accept(texts ...string) bool {
	if !p.is(texts...) {
		return false
	}
	p.next += len(texts)
	return true
}

// expect consumes these keywords or symbols; that others come is an error.
func (p *parser) expect(texts ...string) {
	for _, text := range texts {
		if !p.accept(text) {
			if isNameStart(rune(text[0])) {
				p.unexpected(text)
			} else {
				p.unexpected(`"` + text + `"`)
			}
		}
	}
}

func (p *parser) fail(err *Error) {
	if p.err == nil {
		p.err = err
	}
	p.next = len(p.tokens) - 1
}

// unexpected fails at the next token, or at a misspelt keyword before it that
// passed for an alias.
func (p *parser) unexpected(expected string) {
	t := p.peek()
	if p.bareAlias >= 0 && p.bareAlias == p.next-1 {
		if alias := p.tokens[p.bareAlias]; meantKeyword(alias.text) != "" {
			t = alias
		}
	}
	err := Errorf(t.at, "unexpected %s, expected %s", t, expected)
	if meant := meantKeyword(t.text); t.kind == tokenWord && meant != "" && meant != expected {
		err.Hint = keywordHint(t.text, meant)
	}
	p.fail(err)
}

// keywordHint tells what to write for a word that is or resembles a keyword.
func keywordHint(word, meant string) string {
	first, second, _ := strings.Cut(meant, " ")
	switch {
	case !strings.EqualFold(word, first):
		return "did you mean " + meant + "?"
	case second != "":
		return first + " needs " + second
	default:
		return ""
	}
}

// operator counts an operator, a parenthesis or a call of the expression.
func (p *parser) operator() {
	if p.operators++; p.operators > maxOperators {
		p.fail(Errorf(p.peek().at, "the expression has more than %d operators", maxOperators))
	}
}

// isName reports that t can be a name: a quoted one or a word that is not reserved.
func isName(t token) bool {
	return t.kind == tokenQuoted || t.kind == tokenWord && !isReserved(t.text)
}

func nameOf(t token) Name { return Name{At: t.at, Text: t.text, Quoted: t.kind == tokenQuoted} }

// name consumes a name.
func (p *parser) name(what string) Name {
	if t := p.peek(); !isName(t) {
		p.unexpected(what)
		if t.kind == tokenWord && p.err.At == t.at && isReserved(t.text) {
			p.err.Hint = "write " + quoteName(t.text) + " if that is the name"
		}
	}
	return nameOf(p.advance())
}

// alias consumes [AS] name, if there is one; after AS it may be a string.
func (p *parser) alias() *Name {
	if p.accept("AS") {
		if t := p.peek(); t.kind == tokenString && t.text != "" {
			p.advance()
			return &Name{At: t.at, Text: t.text, Quoted: true}
		}
		n := p.name("an alias")
		return &n
	}
	t := p.peek()
	switch {
	case !isName(t):
		return nil
	case t.kind == tokenWord && slices.Contains(notAlias, strings.ToUpper(t.text)):
		return nil
	case p.is("TIMESTAMP", "BY"), p.is("PARTITION", "BY"), p.is("ORDER", "BY"):
		return nil
	}
	p.bareAlias = p.next
	n := nameOf(p.advance())
	return &n
}

// list reads one element or more, separated by commas.
func list[T any](p *parser, element func() T) []T {
	all := []T{element()}
	for p.accept(",") {
		all = append(all, element())
	}
	return all
}
