package saql

import (
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// jsonReader makes values of JSON text. What is no scalar lives in its arena.
type jsonReader struct {
	jsonScanner
	*Arena
}

// value reads the value at i.
func (r *jsonReader) value(depth int) Value {
	switch r.peek() {
	case '"':
		return String(r.string())
	case '{':
		return r.record(depth)
	case '[':
		return r.array(depth)
	case 't':
		r.word("true")
		return Bit(true)
	case 'f':
		r.word("false")
		return Bit(false)
	case 'n':
		r.word("null")
		return Null
	}
	from := r.i
	v, wide := r.number()
	if wide {
		r.i = from
		if v.kind == KindFloat {
			r.fail("a number outside of the range of float")
		} else {
			r.fail("an integer outside of the range of bigint; send it as a string")
		}
	}
	return v
}

// string reads a string: into the body where it has no escapes.
func (r *jsonReader) string() string {
	raw, plain := r.text()
	if plain {
		return unsafeString(raw)
	}
	return r.unescape(raw)
}

// name reads the name of a member and its colon.
func (r *jsonReader) name() string {
	raw, plain := r.key()
	if plain || r.err != nil {
		return unsafeString(raw)
	}
	return r.unescape(raw)
}

// unsafeString returns a string that shares b's memory.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// unescape decodes a string that was scanned. Half a surrogate pair becomes U+FFFD.
func (r *jsonReader) unescape(raw []byte) string {
	b := r.texts.take(len(raw))[:0]
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			b = append(b, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			b = append(b, escaped(raw[i+1]))
			i += 2
			continue
		}
		c, _ := hex4(raw[i+2:])
		i += 6
		if utf16.IsSurrogate(c) {
			low := rune(utf8.RuneError)
			if i+1 < len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				low, _ = hex4(raw[i+2:])
			}
			if c = utf16.DecodeRune(c, low); c != utf8.RuneError {
				i += 6
			}
		}
		b = utf8.AppendRune(b, c)
	}
	return unsafeString(b)
}

func escaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

func (r *jsonReader) record(depth int) Value {
	base := len(r.fieldStack)
	for ok := r.open('}', depth); ok; ok = r.more('}') {
		name := r.name()
		r.fieldStack = append(r.fieldStack, Field{name, r.value(depth + 1)})
	}
	unique := lastOfNames(r.fieldStack[base:])
	fields := r.fields.take(len(unique))
	copy(fields, unique)
	r.fieldStack = r.fieldStack[:base]
	record := &r.records.take(1)[0]
	record.Fields = fields
	return RecordValue(record)
}

func (r *jsonReader) array(depth int) Value {
	base := len(r.valueStack)
	for ok := r.open(']', depth); ok; ok = r.more(']') {
		v := r.value(depth + 1)
		r.valueStack = append(r.valueStack, v)
	}
	elements := r.values.take(len(r.valueStack) - base)
	copy(elements, r.valueStack[base:])
	r.valueStack = r.valueStack[:base]
	header := &r.arrays.take(1)[0]
	*header = elements
	return Value{kind: KindArray, ref: unsafe.Pointer(header)}
}

// lastOfNames keeps one field of each name, in place: at the place of the
// first, with the value of the last.
func lastOfNames(fields []Field) []Field {
	const few = 32
	kept := fields[:0]
	if len(fields) <= few {
		for _, f := range fields {
			if i := indexOfName(kept, f.Name); i >= 0 {
				kept[i].Value = f.Value
			} else {
				kept = append(kept, f)
			}
		}
		return kept
	}
	at := make(map[string]int, len(fields))
	for _, f := range fields {
		if i, ok := at[f.Name]; ok {
			kept[i].Value = f.Value
			continue
		}
		at[f.Name] = len(kept)
		kept = append(kept, f)
	}
	return kept
}

func indexOfName(fields []Field, name string) int {
	for i := range fields {
		if fields[i].Name == name {
			return i
		}
	}
	return -1
}

// An Arena holds the records, arrays and unescaped strings of rows, so that
// later rows need no new memory. The zero Arena is empty.
type Arena struct {
	texts   chunk[byte]
	fields  chunk[Field]
	values  chunk[Value]
	records chunk[Record]
	arrays  chunk[[]Value]

	fieldStack []Field // of the records that are being read
	valueStack []Value
}

// Reset makes the memory free for other rows: the values in it are no more valid.
func (a *Arena) Reset() {
	a.texts.reset()
	a.fields.reset()
	a.values.reset()
	a.records.reset()
	a.arrays.reset()
	a.fieldStack, a.valueStack = a.fieldStack[:0], a.valueStack[:0]
}

// mostChunk bounds the elements of a chunk that is kept for other rows.
const mostChunk = 16384

// A chunk gives out slices of one block, and of a larger one when it is used up.
type chunk[T any] struct{ free, all []T }

func (c *chunk[T]) take(n int) []T {
	if n > len(c.free) {
		c.all = make([]T, max(n, min(2*len(c.all), mostChunk)))
		c.free = c.all
	}
	t := c.free[:n:n]
	c.free = c.free[n:]
	return t
}

// reset makes the whole block free again, unless it is one that a rare giant needed.
func (c *chunk[T]) reset() {
	if len(c.all) > mostChunk {
		c.all = nil
	}
	c.free = c.all
}

// parseRecord reads text that is one JSON object, to memory of its own.
func parseRecord(text string) (Value, error) {
	r := jsonReader{Arena: new(Arena)}
	r.begin([]byte(text))
	if r.peek() != '{' {
		r.expected("an object")
	}
	v := r.value(0)
	return v, r.end()
}
