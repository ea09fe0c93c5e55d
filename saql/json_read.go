package saql

import "strings"

// A DecodeColumn is the path of a value in a JSON object: ["deviceId"] or
// ["sensor", "temp"]. The empty path is the whole object as a record.
type DecodeColumn []string

// A Decoder reads JSON objects to the values of some columns; it checks the
// grammar of everything else, but decodes none of it. Names match exactly, else
// but for case, as Record.Get does; of equal names the last counts; what is not
// there is NULL. Integers are bigint, numbers with a fraction or an exponent
// float, true and false bit. Values point into the body and into memory of the
// Decoder: they are valid until the body changes or the next row is read.
//
// A Decoder is for one goroutine.
type Decoder struct {
	reader jsonReader
	own    Arena // the reader's, unless Use gave it another
	root   jsonNode
	whole  bool // a column is the whole object
	// columns are all columns where one is the whole object, else those whose
	// path an earlier column has, too.
	columns []decodeColumn
}

type decodeColumn struct {
	slot, of int // of is the slot of the same path, or that of the whole object
	path     []string
}

// A jsonNode is a name that some column's path goes through.
type jsonNode struct {
	name     string
	slot     int // -1: only what is below it is wanted
	children []*jsonNode
	byLength [32][]*jsonNode // children with ASCII names, by length modulo 32
	odd      []*jsonNode     // children with other names

	match jsonMatch // in the object that is being read
	first string    // the name that matched but for case

	layout []jsonHint // of the object that was read before
}

// A jsonHint is what the member of an object was when one was read before.
// Messages of one kind have their members in one order, so that the text of a
// name tells what it is without looking for its end.
type jsonHint struct {
	child *jsonNode // nil: not wanted
	match jsonMatch
	name  uint8    // length of the name
	size  uint8    // of text; 0: there is no hint
	text  [45]byte // from the name's quote to the value
}

// maxLayout is how many members a layout has.
const maxLayout = 64

type jsonMatch uint8

const (
	noMatch jsonMatch = iota
	foldMatch
	exactMatch
)

// NewDecoder returns a Decoder for columns: values[i] is that of columns[i].
func NewDecoder(columns []DecodeColumn) *Decoder {
	d := &Decoder{root: jsonNode{slot: -1}}
	d.reader.Arena = &d.own
	whole := -1
	for slot, path := range columns {
		if len(path) == 0 && whole < 0 {
			whole = slot
		}
	}
	for slot, path := range columns {
		of := whole
		if whole < 0 {
			of = d.root.add(path, slot)
		}
		if of != slot {
			d.columns = append(d.columns, decodeColumn{slot, of, path})
		}
	}
	if d.whole = whole >= 0; d.whole {
		d.root = jsonNode{slot: whole}
	}
	return d
}

// Use lets the rows that are read next live in a, until its owner resets it;
// a row is then not gone with the next.
func (d *Decoder) Use(a *Arena) { d.reader.Arena = a }

// add enters a path and returns its slot: an earlier one's if it is there already.
func (n *jsonNode) add(path []string, slot int) int {
	for _, name := range path {
		n = n.child(name)
	}
	if n.slot < 0 {
		n.slot = slot
	}
	return n.slot
}

func (n *jsonNode) child(name string) *jsonNode {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	c := &jsonNode{name: name, slot: -1}
	n.children = append(n.children, c)
	if isASCII(name) {
		bucket := &n.byLength[len(name)%len(n.byLength)]
		*bucket = append(*bucket, c)
	} else {
		n.odd = append(n.odd, c)
	}
	return c
}

// Decode reads a body that is one JSON object. An error is a *DecodeError; then
// the values have no meaning.
func (d *Decoder) Decode(body []byte, values []Value) error {
	d.reader.begin(body)
	d.row(values)
	return d.reader.end()
}

// Rows reads a body that is an object or an array of objects and calls each for
// every row when its values are set, or with a *DecodeError where an element
// is no object or holds a number out of range: values have no meaning then. A
// body that is not JSON, or neither of these, has no rows, but an error. What
// each returns, if not nil, ends Rows and is its result.
func (d *Decoder) Rows(body []byte, values []Value, each func(index int, err error) error) error {
	r := &d.reader
	r.begin(body)
	if r.peek() != '[' {
		d.row(values)
		if err := r.end(); err != nil {
			return err
		}
		return each(0, nil)
	}
	from := r.i
	r.skip(0)
	if err := r.end(); err != nil {
		return err
	}
	r.i = from
	index := 0
	for ok := r.open(']', 0); ok; ok = r.more(']') {
		if err := each(index, d.element(values)); err != nil {
			return err
		}
		index++
	}
	return nil
}

// element reads an element of an array whose grammar is known to be right.
func (d *Decoder) element(values []Value) error {
	r := &d.reader
	from := r.i
	d.row(values)
	if r.err == nil {
		return nil
	}
	err := r.err
	r.err, r.i = nil, from
	r.skip(1)
	return err
}

// row reads the object at i.
func (d *Decoder) row(values []Value) {
	r := &d.reader
	if r.Arena == &d.own {
		r.Reset()
	}
	clear(values)
	switch {
	case r.peek() != '{':
		r.expected("an object")
		return
	case d.whole:
		values[d.root.slot] = r.record(0)
	default:
		d.object(&d.root, values, 0)
	}
	for _, c := range d.columns {
		v := values[c.of]
		if d.whole {
			v = v.at(c.path)
		}
		values[c.slot] = v
	}
}

// at returns the value that a path of names leads to, or NULL.
func (v Value) at(path []string) Value {
	for _, name := range path {
		r := v.Record()
		if r == nil {
			return Null
		}
		v = r.Get(name)
	}
	return v
}

// object reads an object of which some members are wanted.
func (d *Decoder) object(n *jsonNode, values []Value, depth int) {
	for _, c := range n.children {
		c.match = noMatch
	}
	r := &d.reader
	k := 0
	for ok := r.open('}', depth); ok; ok = r.more('}') {
		if k == len(n.layout) && k < maxLayout {
			n.layout = append(n.layout, jsonHint{})
		}
		if k >= len(n.layout) || !d.hinted(&n.layout[k], values, depth) {
			d.member(n, k, values, depth)
		}
		k++
	}
}

// hinted reads a member if it is the one that the hint tells.
func (d *Decoder) hinted(h *jsonHint, values []Value, depth int) bool {
	r := &d.reader
	end := r.i + int(h.size)
	if h.size == 0 || end >= len(r.b) || string(r.b[r.i:end]) != string(h.text[:h.size]) || r.b[end] <= ' ' {
		return false
	}
	if h.child == nil {
		r.i = end
		r.skip(depth + 1)
		return true
	}
	name := unsafeString(r.b[r.i+1 : r.i+1+int(h.name)])
	if !h.child.take(h.match, name, values) {
		return false
	}
	r.i = end
	d.child(h.child, values, depth)
	return true
}

// member reads a member: its value for every child that its name matches.
func (d *Decoder) member(n *jsonNode, k int, values []Value, depth int) {
	r := &d.reader
	begin := r.i
	raw, plain := r.key()
	if r.err != nil {
		return
	}
	name := unsafeString(raw)
	if !plain || len(n.odd) > 0 || r.high && !isASCII(name) {
		d.oddMember(n, name, plain, values, depth)
		return
	}
	from := r.i
	var hint jsonHint
	matches := 0
	for _, c := range n.byLength[len(name)%len(n.byLength)] {
		match := matchOf(name, c.name)
		if match == noMatch || len(name) != len(c.name) {
			continue
		}
		hint.child, hint.match = c, match
		matches++
		if c.take(match, name, values) {
			r.i = from
			d.child(c, values, depth)
		}
	}
	if r.i == from {
		r.skip(depth + 1)
	}
	if k < len(n.layout) && from-begin <= len(hint.text) && matches <= 1 {
		hint.name = uint8(len(name))
		hint.size = uint8(copy(hint.text[:], r.b[begin:from]))
		n.layout[k] = hint
	}
}

func matchOf(name, wanted string) jsonMatch {
	switch {
	case name == wanted:
		return exactMatch
	case strings.EqualFold(name, wanted):
		return foldMatch
	}
	return noMatch
}

// oddMember reads the value of a member whose name is not ASCII or has escapes.
func (d *Decoder) oddMember(n *jsonNode, name string, plain bool, values []Value, depth int) {
	r := &d.reader
	from := r.i
	if !plain {
		name = r.unescape([]byte(name))
	}
	for _, c := range n.children {
		if match := matchOf(name, c.name); match != noMatch && c.take(match, name, values) {
			r.i = from
			d.child(c, values, depth)
		}
	}
	if r.i == from {
		r.skip(depth + 1)
	}
}

// child reads the value of a member that matched.
func (d *Decoder) child(c *jsonNode, values []Value, depth int) {
	r := &d.reader
	switch {
	case c.slot >= 0:
		c.set(r.value(depth+1), values)
	case r.peek() == '{':
		d.object(c, values, depth+1)
	default:
		r.skip(depth + 1)
	}
}

// take reports that a name which matches is the one that counts: an exact one
// before others, the last of equal ones. What an earlier one set is forgotten.
func (n *jsonNode) take(match jsonMatch, name string, values []Value) bool {
	if n.match != noMatch {
		if match == foldMatch && (n.match == exactMatch || n.first != name) {
			return false
		}
		n.set(Null, values)
	}
	n.match, n.first = match, name
	return true
}

// set sets the values of n and of what is below it.
func (n *jsonNode) set(v Value, values []Value) {
	if n.slot >= 0 {
		values[n.slot] = v
	}
	for _, c := range n.children {
		below := Null
		if r := v.Record(); r != nil {
			below = r.Get(c.name)
		}
		c.set(below, values)
	}
}
