package lake

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/weir-iot/weir/internal/jsonscan"
)

const (
	maxNesting = 4   // objects in objects that become columns of their own
	maxName    = 128 // bytes of a column's name
)

// timeFields are the names, folded, of a payload's own time.
var timeFields = []string{"timestamp", "time", "ts"}

// A decoder takes payloads apart and appends them to a buffer by column.
type decoder struct {
	buf *buffer
	// admit says whether a field may have a column of its own.
	admit func(path string, kind Type) bool
	// speaks says whether a sender may write rows of another device.
	speaks   func(sender, device string) bool
	keepBody bool

	root    node
	nodes   int
	columns map[columnKey]*bufferColumn
	base    map[string]*bufferColumn // Sender, MessageID, Rest, Body, Error

	cursor jsonscan.Cursor
	cells  []cell // of the row at hand
	rest   []byte // JSON members, each with a comma before it
	device []byte
	time   int64
	timed  bool
	stamp  int // of the row at hand, see bufferColumn.filled
	sender string
}

// A cell is a value on its way to its column: nothing is appended before the
// whole row is known to be right.
type cell struct {
	column *bufferColumn
	num    float64
	bit    bool
	text   []byte
}

type columnKey struct {
	path string // folded
	kind Type
}

// A node is a name at some place of the payloads. Fields come in the same order
// nearly always, so that the next name is guessed, not looked up.
type node struct {
	raw      string // as it is written
	path     string
	role     role
	children map[string]*node
	first    *node            // the child that came first the last time
	next     *node            // the sibling that came after it
	columns  [3]*bufferColumn // for numbers, booleans and texts; see restOnly
}

// restOnly stands for the column of what goes to the rest.
var restOnly = new(bufferColumn)

type role uint8

const (
	measure role = iota
	deviceField
	timeField
	unnamed // no column can have that name
)

const (
	number = iota
	boolean
	text
)

var kinds = [...]Type{Double, Boolean, String}

// maxNodes and maxRaw bound the names that are remembered; others go to the rest.
const (
	maxNodes = 20000
	maxRaw   = 6 * maxName // with escapes
)

func newDecoder(b *buffer, admit func(path string, kind Type) bool) *decoder {
	d := &decoder{buf: b, admit: admit, columns: map[columnKey]*bufferColumn{}, base: map[string]*bufferColumn{}}
	for _, c := range baseColumns {
		switch c.Name {
		case Sender, MessageID, Rest, Body, Error:
			own := &bufferColumn{path: c.Name, kind: c.Type, base: true}
			d.base[c.Name] = own
			b.columns = append(b.columns, own)
		}
	}
	return d
}

// decode appends a row to the buffer. What cannot be taken apart is kept whole,
// with the reason, which is returned.
func (d *decoder) decode(r *Row) (reason error) {
	d.begin(r)
	if d.cursor.Kind() == '{' {
		d.object(&d.root, 0)
	} else {
		d.cursor.Skip()
		reason = errNoObject
	}
	if err := d.cursor.End(); err != nil {
		reason = err
	}
	if reason != nil {
		d.begin(r)
	}
	d.finish(r, reason)
	return reason
}

var errNoObject = errors.New("lake: not a JSON object")

func (d *decoder) begin(r *Row) {
	d.cursor.Begin(r.Body)
	d.cells, d.rest, d.device, d.timed = d.cells[:0], d.rest[:0], nil, false
	d.time = min(max(r.EnqueuedAt.UnixMicro(), earliest), latest)
	d.stamp++
	d.sender = r.Sender
}

func (d *decoder) object(parent *node, depth int) {
	c := &d.cursor
	var last *node
	guess := parent.first
	for ok := c.Open('}'); ok; ok = c.More('}') {
		raw, _ := c.Name()
		n := guess
		if n == nil || n.raw != string(raw) {
			n = d.child(parent, raw)
			if last != nil {
				last.next = n
			} else {
				parent.first = n
			}
		}
		if n == nil {
			d.keepRest(parent, raw, c.Skip())
			last, guess = nil, nil
			continue
		}
		d.value(n, raw, parent, depth)
		last, guess = n, n.next
	}
}

// child returns the node of a name, nil if there are too many.
func (d *decoder) child(parent *node, raw []byte) *node {
	if n, ok := parent.children[string(raw)]; ok {
		return n
	}
	if d.nodes >= maxNodes || len(raw) > maxRaw {
		return nil
	}
	d.nodes++
	n := &node{raw: string(raw)}
	n.path = jsonscan.Unquote(raw, false)
	if parent != &d.root {
		n.path = parent.path + "." + n.path
	}
	n.role = roleOf(parent == &d.root, n.path)
	if parent.children == nil {
		parent.children = make(map[string]*node)
	}
	parent.children[n.raw] = n
	return n
}

func roleOf(top bool, path string) role {
	switch name := fold(path); {
	case !validName(path):
		return unnamed
	case top && name == fold(DeviceID):
		return deviceField
	case top && (name == timeFields[0] || name == timeFields[1] || name == timeFields[2]):
		return timeField
	}
	return measure
}

// validName refuses what Parquet's readers in Spark do.
func validName(name string) bool {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		switch r {
		case ' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=', '`', '"', '\\', '/':
			return false
		}
		if r < ' ' || r == 0x7f {
			return false
		}
	}
	return name[0] != '.' && name[len(name)-1] != '.'
}

func (d *decoder) value(n *node, raw []byte, parent *node, depth int) {
	c := &d.cursor
	switch kind := c.Kind(); kind {
	case '{':
		d.nested(n, raw, parent, depth)
	case '"':
		d.text(n, raw, parent)
	case 't', 'f':
		if literal := c.Skip(); !d.put(n, boolean, cell{bit: kind == 't'}) {
			d.keepRest(parent, raw, literal)
		}
	case 'n':
		c.Skip()
	case '[':
		d.keepRest(parent, raw, c.Skip())
	default:
		written := c.Skip()
		if len(written) == 0 {
			return // not JSON
		}
		if f, ok := parseNumber(written); !ok || !d.put(n, number, cell{num: f}) {
			d.keepRest(parent, raw, written)
		}
	}
}

// nested takes an object: its members become columns, with the names joined by
// points.
func (d *decoder) nested(n *node, raw []byte, parent *node, depth int) {
	if depth+1 >= maxNesting || n.role == unnamed {
		d.keepRest(parent, raw, d.cursor.Skip())
		return
	}
	cells, rest := len(d.cells), len(d.rest)
	d.object(n, depth+1)
	if len(d.cells) == cells && len(d.rest) == rest {
		d.keepRest(parent, raw, []byte("{}"))
	}
}

// text takes a string: the device, the time, or a measure.
func (d *decoder) text(n *node, raw []byte, parent *node) {
	written, plain := d.cursor.Text()
	s := written
	if !plain {
		s = []byte(jsonscan.Unquote(written, false))
	}
	if n.role == deviceField && d.device == nil && len(s) > 0 && len(s) <= maxName && d.mayWrite(s) {
		d.device = s
		return
	}
	taken := false
	if n.role == timeField && !d.timed {
		var exact bool
		var us int64
		if us, exact, taken = parseTime(s); taken {
			d.time, d.timed = us, true
		}
		if taken && exact {
			return
		}
	}
	if taken || !d.put(n, text, cell{text: s}) {
		d.restName(parent, raw)
		d.rest = append(append(append(d.rest, '"'), written...), '"')
	}
}

func (d *decoder) mayWrite(device []byte) bool {
	return d.sender == string(device) || d.speaks == nil || d.speaks(d.sender, string(device))
}

// put gives a value to the node's column of its type, if it has one that has no
// value of this row yet.
func (d *decoder) put(n *node, kind int, v cell) bool {
	c := n.columns[kind]
	if c == nil {
		c = d.columnOf(n, kinds[kind])
		n.columns[kind] = c
	}
	if c == restOnly || c.filled == d.stamp {
		return false
	}
	c.filled = d.stamp
	v.column = c
	d.cells = append(d.cells, v)
	return true
}

func (d *decoder) columnOf(n *node, kind Type) *bufferColumn {
	if n.role == unnamed {
		return restOnly
	}
	key := columnKey{fold(n.path), kind}
	c, ok := d.columns[key]
	if !ok {
		c = restOnly
		if d.admit(n.path, kind) {
			c = &bufferColumn{path: n.path, kind: kind}
			d.buf.columns = append(d.buf.columns, c)
		}
		d.columns[key] = c
	}
	return c
}

// keepRest appends a member to the rest, under its path.
func (d *decoder) keepRest(parent *node, raw, value []byte) {
	d.restName(parent, raw)
	d.rest = append(d.rest, value...)
}

func (d *decoder) restName(parent *node, raw []byte) {
	d.rest = append(d.rest, ',', '"')
	if parent != &d.root {
		d.rest = append(append(d.rest, parent.path...), '.') // a valid name needs no escapes
	}
	d.rest = append(append(d.rest, raw...), '"', ':')
}

// finish appends the row to the buffer.
func (d *decoder) finish(r *Row, reason error) {
	b, row := d.buf, d.buf.rows
	if d.device == nil {
		b.device = append(b.device, b.devices.code([]byte(r.Sender)))
	} else {
		b.device = append(b.device, b.devices.code(d.device))
		if string(d.device) != r.Sender {
			d.base[Sender].addText(row, []byte(r.Sender))
		}
	}
	b.time = append(b.time, d.time)
	b.at = append(b.at, r.EnqueuedAt.UnixMicro())
	b.part = append(b.part, int32(r.Partition))
	b.seq = append(b.seq, r.Seq)
	b.index = append(b.index, int32(r.Index))
	size := 40
	for i := range d.cells {
		v := &d.cells[i]
		switch v.column.kind {
		case Double:
			v.column.addNumber(row, v.num)
		case Boolean:
			v.column.addBool(row, v.bit)
		default:
			v.column.addText(row, v.text)
		}
		size += 12 + len(v.text)
	}
	size += d.finishBase(r, row, reason)
	b.rows++
	b.size += size
}

// finishBase appends what few rows have, and returns its bytes.
func (d *decoder) finishBase(r *Row, row int, reason error) (size int) {
	if r.MessageID != "" {
		d.base[MessageID].addText(row, []byte(r.MessageID))
		size += 8 + len(r.MessageID)
	}
	if len(d.rest) > 0 {
		d.rest[0] = '{'
		d.rest = append(d.rest, '}')
		d.base[Rest].addText(row, d.rest)
		size += 8 + len(d.rest)
	}
	if d.keepBody || reason != nil {
		d.base[Body].addText(row, r.Body)
		size += 8 + len(r.Body)
	}
	if reason != nil {
		d.base[Error].addText(row, []byte(reasonText(reason)))
		size += 64
	}
	return size
}

// reasonText is an error without the name of the package that it came from.
func reasonText(err error) string {
	_, text, _ := strings.Cut(err.Error(), ": ")
	return text
}
