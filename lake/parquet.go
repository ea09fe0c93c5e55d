package lake

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

const (
	// pageRows is the number of rows of a page, fewer where texts are long.
	pageRows = 4096
	// groupRows is the number of rows of a row group.
	groupRows = 16 * pageRows
	// dictionaryLimit is the size of a dictionary at which a column goes on without.
	dictionaryLimit = 1 << 20
	// pageMemory bounds the values of one page of all columns, in bytes.
	pageMemory = 32 << 20
)

// A fileColumn is a column of a file that is being written.
type fileColumn struct {
	Column
	required bool
	distinct bool // too many values for a dictionary to pay
}

// A group is a Parquet group whose fields keep their order.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }

func parquetSchema(columns []fileColumn) *parquet.Schema {
	g := group{Group: parquet.Group{}}
	for _, c := range columns {
		one := parquet.Group{c.Name: c.node()}
		g.Group[c.Name] = one[c.Name]
		g.fields = append(g.fields, one.Fields()...)
	}
	return parquet.NewSchema("lake", g)
}

func (c *fileColumn) node() parquet.Node {
	var n parquet.Node
	var enc encoding.Encoding
	switch c.Type {
	case String:
		n = parquet.String()
	case Binary:
		n = parquet.Leaf(parquet.ByteArrayType)
	case Double:
		n = parquet.Leaf(parquet.DoubleType)
	case Boolean:
		n = parquet.Leaf(parquet.BooleanType)
	case Integer:
		n = parquet.Leaf(parquet.Int32Type)
	case Timestamp:
		n, enc = parquet.Timestamp(parquet.Microsecond), &parquet.DeltaBinaryPacked
	case Long:
		n, enc = parquet.Leaf(parquet.Int64Type), &parquet.DeltaBinaryPacked
	}
	if enc == nil && c.Type != Boolean {
		if enc = &parquet.RLEDictionary; c.Type == Binary || c.distinct {
			enc = &parquet.Plain
		}
	}
	if enc != nil {
		n = parquet.Encoded(n, enc)
	}
	if c.required {
		return parquet.Required(n)
	}
	return parquet.Optional(n)
}

// A fileWriter writes a Parquet file of rows sorted by device and time, page by
// page, and collects the statistics that the log keeps.
type fileWriter struct {
	w       *parquet.GenericWriter[any]
	columns []fileColumn
	values  []parquet.Value // of the page and column at hand
	rows    int64
	inGroup int
	stats   []columnStats
}

func newFileWriter(w io.Writer, columns []fileColumn) *fileWriter {
	return openFileWriter(w, columns, parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending(DeviceID), parquet.Ascending(Time))))
}

// openFileWriter writes rows in whatever order.
func openFileWriter(w io.Writer, columns []fileColumn, options ...parquet.WriterOption) *fileWriter {
	options = append(options,
		parquetSchema(columns),
		parquet.CreatedBy("weir", "1", "0"),
		parquet.Compression(&parquet.Zstd),
		parquet.DictionaryMaxBytes(dictionaryLimit),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, DeviceID)),
	)
	return &fileWriter{columns: columns, stats: make([]columnStats, len(columns)), w: parquet.NewGenericWriter[any](w, options...)}
}

// page writes n rows, at most pageRows. fill appends the values of a column.
func (f *fileWriter) page(n int, fill func(column int, values []parquet.Value) []parquet.Value) error {
	for i, w := range f.w.ColumnWriters() {
		f.values = fill(i, f.values[:0])
		f.stats[i].take(f.values, f.columns[i].Type)
		if !f.columns[i].required {
			level(f.values, i)
		}
		if _, err := w.WriteRowValues(f.values); err != nil {
			return fmt.Errorf("column %q: %w", f.columns[i].Name, err)
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("column %q: %w", f.columns[i].Name, err)
		}
	}
	f.rows += int64(n)
	if f.inGroup += n; f.inGroup >= groupRows {
		f.inGroup = 0
		return f.w.Flush()
	}
	return nil
}

// level sets the definition levels of optional values.
func level(values []parquet.Value, column int) {
	for i := range values {
		defined := 1
		if values[i].IsNull() {
			defined = 0
		}
		values[i] = values[i].Level(0, defined, column)
	}
}

func (f *fileWriter) close() error { return f.w.Close() }

// pageRowsOf is pageRows, or less for a table of very many columns.
func pageRowsOf(columns int) int {
	const valueSize = 24
	return min(pageRows, max(64, pageMemory/valueSize/max(columns, 1)))
}
