package jsonscan

// A Cursor reads one JSON text value by value, without allocation: it stands
// before a value, and one of Skip, Text, Open or Literal takes it past.
//
//	for ok := c.Open('}'); ok; ok = c.More('}') {
//		name, plain := c.Name()
//		…take the value…
//	}
//
// After an error every loop ends; End returns it. What a Cursor returns points
// into the text.
type Cursor struct {
	s     scanner
	depth int
}

// Begin sets the cursor before the value that text is.
func (c *Cursor) Begin(text []byte) {
	*c = Cursor{s: scanner{b: text}}
	c.s.space()
}

// Kind is the first byte of the value: '{', '[', '"', 't', 'f', 'n', a digit or
// '-'; 0 at the end.
func (c *Cursor) Kind() byte { return c.s.peek() }

// Open enters an object or an array, which ends with the byte end, and reports
// whether there is anything in it.
func (c *Cursor) Open(end byte) bool {
	if !c.s.open(end, c.depth) {
		return false
	}
	c.depth++
	return c.s.err == nil
}

// More goes on to the next member or element, and reports whether there is one.
func (c *Cursor) More(end byte) bool {
	if c.s.more(end) {
		return true
	}
	c.depth--
	return false
}

// Name takes a member's name, as it is between its quotes, and the colon; plain
// is false if it has escapes.
func (c *Cursor) Name() (raw []byte, plain bool) {
	if c.s.peek() != '"' {
		c.s.fail(ErrSyntax)
		return nil, false
	}
	from := c.s.i + 1
	plain = c.s.text()
	to := c.s.i - 1
	c.s.space()
	if c.s.peek() != ':' {
		c.s.fail(ErrSyntax)
		return nil, false
	}
	c.s.i++
	c.s.space()
	return c.s.b[from:to], plain
}

// Text takes a string, as Name does.
func (c *Cursor) Text() (raw []byte, plain bool) {
	from := c.s.i + 1
	if plain = c.s.text(); c.s.err != nil {
		return nil, false
	}
	return c.s.b[from : c.s.i-1], plain
}

// Skip takes any value and returns it as it is written.
func (c *Cursor) Skip() []byte {
	from := c.s.i
	c.s.value(c.depth)
	if c.s.err != nil {
		return nil
	}
	return c.s.b[from:c.s.i]
}

// End returns what is wrong with the text: nothing may follow its value.
func (c *Cursor) End() error { return c.s.end() }

// Unquote decodes what Name or Text returned.
func Unquote(raw []byte, plain bool) string {
	if plain {
		return string(raw)
	}
	quoted := make([]byte, 0, len(raw)+2)
	return string(unquote(append(append(append(quoted, '"'), raw...), '"'), false))
}
