package lake

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// sortedTag marks files of this package: sorted by device, time and place in
// the log. Its value tells how often the rows were rewritten.
const sortedTag = "weir.sorted"

// writeDay writes the rows of one day to a file.
func (w *Writer) writeDay(ctx context.Context, f *flush, d daily) (add, error) {
	path := w.t.fileName(d.day)
	g := &gather{buf: &w.buf, columns: f.columns, rows: d.rows, places: make([][]int32, len(f.columns))}
	file, err := w.t.writeFile(ctx, path, g.prepare(), func(out *fileWriter) error {
		n := pageRowsOf(len(g.columns))
		for page := range slices.Chunk(d.rows, n) {
			g.page = page
			if err := out.page(len(page), g.fill); err != nil {
				return err
			}
		}
		return nil
	})
	file.DataChange, file.PartitionValues, file.Tags = true, partitionValues(d.day), map[string]string{sortedTag: "0"}
	return file, err
}

// writeFile streams a Parquet file into the bucket and returns its action.
func (t *Table) writeFile(ctx context.Context, path string, columns []fileColumn, write func(*fileWriter) error) (add, error) {
	a := add{Path: path}
	var err error
	a.Size, err = t.put(ctx, path, func(out io.Writer) error {
		f := newFileWriter(out, columns)
		if err := write(f); err != nil {
			return err
		}
		if err := f.close(); err != nil {
			return err
		}
		a.Stats, err = f.statistics()
		return err
	})
	return a, err
}

// A gather reads the values of rows out of a buffer, column by column.
type gather struct {
	buf     *buffer
	columns []source
	rows    []int32   // of the file, in its order
	places  [][]int32 // of each column that not every row has, see lookup
	page    []int32   // the rows at hand
}

// prepare chooses encodings, and finds the rows' values.
func (g *gather) prepare() []fileColumn {
	columns := make([]fileColumn, len(g.columns))
	for i, c := range g.columns {
		if c.from != nil && len(c.from.at) < g.buf.rows {
			g.places[i] = c.from.lookup(g.buf.rows, nil)
		}
		columns[i] = c.fileColumn
		columns[i].distinct = g.distinct(i)
	}
	return columns
}

// sampleRows is the size of the sample that tells whether a dictionary pays.
const sampleRows = 16 << 10

// distinct reports whether most values of a sample differ: a run of rows, as a
// row group is.
func (g *gather) distinct(column int) bool {
	c := g.columns[column].from
	if c == nil || c.kind == Boolean || c.kind == Binary {
		return false
	}
	from := max(0, (len(g.rows)-sampleRows)/2)
	sample := g.rows[from:min(len(g.rows), from+sampleRows)]
	numbers, texts, n := map[float64]struct{}{}, map[string]struct{}{}, 0
	for _, row := range sample {
		i := g.place(column, row)
		if i < 0 {
			continue
		}
		n++
		if c.kind == Double {
			numbers[c.nums[i]] = struct{}{}
		} else {
			texts[string(c.bytes(int(i)))] = struct{}{}
		}
	}
	return len(numbers)+len(texts) > n*3/5
}

// place returns where the value of a row is in its column, -1 if it has none.
func (g *gather) place(column int, row int32) int32 {
	if places := g.places[column]; places != nil {
		return places[row]
	}
	return row
}

// fill appends the values of the page at hand.
func (g *gather) fill(column int, values []parquet.Value) []parquet.Value {
	c := g.columns[column]
	if c.from == nil {
		return g.fillKey(c.Name, values)
	}
	for _, row := range g.page {
		i := g.place(column, row)
		switch {
		case i < 0:
			values = append(values, parquet.Value{})
		case c.Type == Double:
			values = append(values, parquet.DoubleValue(c.from.nums[i]))
		case c.Type == Boolean:
			values = append(values, parquet.BooleanValue(c.from.bits[i]))
		default:
			values = append(values, parquet.ByteArrayValue(c.from.bytes(int(i))))
		}
	}
	return values
}

// fillKey appends values of a column that every row has.
func (g *gather) fillKey(name string, values []parquet.Value) []parquet.Value {
	b := g.buf
	value := func(row int32) parquet.Value { return parquet.Int64Value(b.seq[row]) }
	switch name {
	case DeviceID:
		value = func(row int32) parquet.Value { return parquet.ByteArrayValue(b.devices.names[b.device[row]]) }
	case Time:
		value = func(row int32) parquet.Value { return parquet.Int64Value(b.time[row]) }
	case EnqueuedAt:
		value = func(row int32) parquet.Value { return parquet.Int64Value(b.at[row]) }
	case Partition:
		value = func(row int32) parquet.Value { return parquet.Int32Value(b.part[row]) }
	case Index:
		value = func(row int32) parquet.Value { return parquet.Int32Value(b.index[row]) }
	}
	for _, row := range g.page {
		values = append(values, value(row))
	}
	return values
}

// spill moves the values of a column into the rest.
func (b *buffer) spill(rest, c *bufferColumn) {
	in, out := rest.lookup(b.rows, nil), c.lookup(b.rows, nil)
	merged := bufferColumn{}
	var text []byte
	for row := range b.rows {
		text = append(text[:0], '{')
		if i := in[row]; i >= 0 {
			old := rest.bytes(int(i))
			text = append(text, old[1:len(old)-1]...)
		}
		if i := out[row]; i >= 0 {
			if len(text) > 1 {
				text = append(text, ',')
			}
			text = append(append(append(text, '"'), c.path...), '"', ':')
			text = c.appendJSON(text, int(i))
		}
		if len(text) > 1 {
			merged.addText(row, append(text, '}'))
		}
	}
	rest.at, rest.text, rest.ends = merged.at, merged.text, merged.ends
	c.at, c.nums, c.bits, c.text, c.ends = nil, nil, nil, nil, nil
}

func (c *bufferColumn) appendJSON(b []byte, i int) []byte {
	switch c.kind {
	case Double:
		return appendFloat(b, c.nums[i])
	case Boolean:
		return strconv.AppendBool(b, c.bits[i])
	default:
		quoted, _ := json.Marshal(string(c.bytes(i))) // a string cannot fail
		return append(b, quoted...)
	}
}
