package lake

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// A buffer holds rows by column until they are written. Its memory is used
// again after a flush.
type buffer struct {
	rows   int
	device []uint32 // a code of devices
	time   []int64  // µs
	at     []int64  // EnqueuedAt, µs
	part   []int32
	seq    []int64
	index  []int32

	devices dictionary
	columns []*bufferColumn // the others, in the order of their appearance
	size    int             // bytes, about
}

// A bufferColumn holds the values of the rows that have one.
type bufferColumn struct {
	path string // of the field in the payload, or the name of a base column
	kind Type   // Double, Boolean, String or Binary
	base bool

	filled int       // the decoder's stamp of the last row with a value
	at     []uint32  // the rows, ascending
	nums   []float64 // of Double
	bits   []bool    // of Boolean
	text   []byte    // of String and Binary: one after the other
	ends   []uint32  // where each ends in text
}

// A dictionary numbers the strings that it is given.
type dictionary struct {
	codes map[string]uint32
	names [][]byte
	last  uint32
}

func (d *dictionary) code(name []byte) uint32 {
	if len(d.names) > 0 && string(d.names[d.last]) == string(name) {
		return d.last
	}
	code, ok := d.codes[string(name)]
	if !ok {
		if d.codes == nil {
			d.codes = make(map[string]uint32)
		}
		code = uint32(len(d.names))
		d.codes[string(name)] = code
		d.names = append(d.names, slices.Clone(name))
	}
	d.last = code
	return code
}

func (b *buffer) reset() {
	b.rows, b.size = 0, 0
	b.device, b.time, b.at = b.device[:0], b.time[:0], b.at[:0]
	b.part, b.seq, b.index = b.part[:0], b.seq[:0], b.index[:0]
	b.devices = dictionary{}
	for _, c := range b.columns {
		c.at, c.nums, c.bits, c.text, c.ends = c.at[:0], c.nums[:0], c.bits[:0], c.text[:0], c.ends[:0]
	}
}

func (c *bufferColumn) addNumber(row int, f float64) {
	c.at, c.nums = append(c.at, uint32(row)), append(c.nums, f)
}

func (c *bufferColumn) addBool(row int, v bool) {
	c.at, c.bits = append(c.at, uint32(row)), append(c.bits, v)
}

func (c *bufferColumn) addText(row int, s []byte) {
	c.at, c.text = append(c.at, uint32(row)), append(c.text, s...)
	c.ends = append(c.ends, uint32(len(c.text)))
}

// bytes returns the i-th text.
func (c *bufferColumn) bytes(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]]
}

// lookup fills places, one for each row of the buffer: where the row's value is
// in c, -1 if it has none.
func (c *bufferColumn) lookup(rows int, places []int32) []int32 {
	places = slices.Grow(places[:0], rows)[:rows]
	for i := range places {
		places[i] = -1
	}
	for i, row := range c.at {
		places[row] = int32(i)
	}
	return places
}

// A daily is the rows of one UTC day of EnqueuedAt, in the order of a file.
type daily struct {
	day  time.Time
	rows []int32
}

// days sorts the rows for which keep is true: by day, device, time and place in
// the log.
func (b *buffer) days(keep func(row int) bool) []daily {
	var all []daily
	byDay := map[int64]int{}
	for _, row := range b.byDevice() {
		if !keep(int(row)) {
			continue
		}
		day := floorDiv(b.at[row], dayMicros)
		i, ok := byDay[day]
		if !ok {
			i = len(all)
			byDay[day] = i
			all = append(all, daily{day: time.Unix(day*86400, 0).UTC()})
		}
		all[i].rows = append(all[i].rows, row)
	}
	for _, d := range all {
		b.sortRuns(d.rows)
	}
	slices.SortFunc(all, func(x, y daily) int { return x.day.Compare(y.day) })
	return all
}

const dayMicros = 86400 * 1e6

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// byDevice returns all rows by device, by counting; within a device in the
// order in which they came.
func (b *buffer) byDevice() []int32 {
	order := make([]uint32, len(b.devices.names))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(x, y uint32) int { return bytes.Compare(b.devices.names[x], b.devices.names[y]) })
	next := make([]int32, len(order))
	for _, code := range b.device {
		next[code]++
	}
	at := int32(0)
	for _, code := range order {
		at, next[code] = at+next[code], at
	}
	rows := make([]int32, b.rows)
	for row, code := range b.device {
		rows[next[code]] = int32(row)
		next[code]++
	}
	return rows
}

// sortRuns sorts the rows of each device by time; mostly they are.
func (b *buffer) sortRuns(rows []int32) {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && b.device[rows[n]] == b.device[rows[0]] {
			n++
		}
		if !slices.IsSortedFunc(rows[:n], b.compare) {
			slices.SortFunc(rows[:n], b.compare)
		}
		rows = rows[n:]
	}
}

func (b *buffer) compare(x, y int32) int {
	return cmp.Or(cmp.Compare(b.time[x], b.time[y]), cmp.Compare(b.part[x], b.part[y]),
		cmp.Compare(b.seq[x], b.seq[y]), cmp.Compare(b.index[x], b.index[y]))
}
