package lake

import (
	"context"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Export writes the rows of a query to w as one Parquet file, in their order,
// and returns how many there were. progress, if not nil, is called with the
// number so far after every few thousand.
func (t *Table) Export(ctx context.Context, q Query, w io.Writer, progress func(rows int64)) (rows int64, err error) {
	sc, err := t.Scan(ctx, q)
	if err != nil {
		return 0, err
	}
	var columns []fileColumn
	for _, c := range baseColumns[:requiredColumns] {
		columns = append(columns, fileColumn{Column: c, required: true})
	}
	for _, c := range sc.Columns {
		if !isKey(c.Name) {
			columns = append(columns, fileColumn{Column: c})
		}
	}
	out := openFileWriter(w, columns)
	p := newPager(out, pageRowsOf(len(columns)))
	row := make([][]parquet.Value, len(columns))
	for r, err := range sc.Rows(ctx) {
		if err != nil {
			return rows, fmt.Errorf("lake: export: %w", err)
		}
		if err := p.take(sc.exported(r, row), 0, 1); err != nil {
			return rows, fmt.Errorf("lake: export: %w", err)
		}
		if rows++; progress != nil && rows%pageRows == 0 {
			progress(rows)
		}
	}
	if err = p.flush(); err == nil {
		err = out.close()
	}
	if err != nil {
		return rows, fmt.Errorf("lake: export: %w", err)
	}
	return rows, nil
}

// exported returns a record as a row of one value for each column.
func (sc *Scan) exported(r *Record, row [][]parquet.Value) [][]parquet.Value {
	for i, v := range []parquet.Value{
		parquet.ByteArrayValue([]byte(r.DeviceID)), parquet.Int64Value(r.Time), parquet.Int64Value(r.EnqueuedAt.UnixMicro()),
		parquet.Int32Value(int32(r.Partition)), parquet.Int64Value(r.Seq), parquet.Int32Value(int32(r.Index)),
	} {
		row[i] = append(row[i][:0], v)
	}
	i := requiredColumns
	for k, v := range r.Values {
		if !isKey(sc.Columns[k].Name) {
			row[i] = append(row[i][:0], v.parquet())
			i++
		}
	}
	return row
}

func (v Value) parquet() parquet.Value {
	switch v.kind {
	case Double:
		return parquet.DoubleValue(v.Float())
	case Boolean:
		return parquet.BooleanValue(v.Bool())
	case Integer:
		return parquet.Int32Value(int32(v.Int()))
	case Long, Timestamp:
		return parquet.Int64Value(int64(v.num))
	case String, Binary:
		return parquet.ByteArrayValue([]byte(v.text))
	default:
		return parquet.Value{}
	}
}
