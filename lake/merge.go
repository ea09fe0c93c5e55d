package lake

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"slices"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// A mergeInput goes through a sorted file from its first row to its last.
type mergeInput struct {
	r       *fileReader
	spans   []span
	columns []fileColumn // of the output
	values  [][]parquet.Value
	size    int64 // rows of a window
	at, end int   // the row at hand, and the end of the window
	order   int   // of the input, for rows that are the same otherwise
	keyed   bool  // rows have a place in the log
}

// keyColumns are the places of the sort key among the columns of every file.
const (
	deviceAt = iota
	timeAt
	enqueuedPlace
	partitionAt
	seqAt
	indexAt
)

// step moves to the next row behind n, and reports whether there is one.
func (m *mergeInput) step(n int) (bool, error) {
	m.at += n
	for m.at >= m.end {
		if len(m.spans) == 0 {
			return false, nil
		}
		first := &m.spans[0]
		w := span{first.group, first.from, min(first.to, first.from+m.size)}
		if first.from = w.to; first.from == first.to {
			m.spans = m.spans[1:]
		}
		for i, c := range m.columns {
			var err error
			if m.values[i], err = m.r.read(w, c.Name, m.values[i][:0]); err != nil {
				return false, err
			}
		}
		m.at, m.end = 0, int(w.to-w.from)
	}
	return true, nil
}

func (m *mergeInput) device(row int) []byte { return m.values[deviceAt][row].ByteArray() }

// compareAt orders a row of m and a row of o.
func (m *mergeInput) compareAt(row int, o *mergeInput, other int) int {
	if n := bytes.Compare(m.device(row), o.device(other)); n != 0 {
		return n
	}
	if n := cmp.Compare(m.values[timeAt][row].Int64(), o.values[timeAt][other].Int64()); n != 0 {
		return n
	}
	if !m.keyed {
		return cmp.Compare(m.order, o.order)
	}
	return cmp.Or(
		cmp.Compare(m.values[partitionAt][row].Int32(), o.values[partitionAt][other].Int32()),
		cmp.Compare(m.values[seqAt][row].Int64(), o.values[seqAt][other].Int64()),
		cmp.Compare(m.values[indexAt][row].Int32(), o.values[indexAt][other].Int32()),
		cmp.Compare(m.order, o.order))
}

// mergeInputs is a heap of those that stand on a row.
type mergeInputs []*mergeInput

func (h mergeInputs) Len() int           { return len(h) }
func (h mergeInputs) Less(i, j int) bool { return h[i].compareAt(h[i].at, h[j], h[j].at) < 0 }
func (h mergeInputs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *mergeInputs) Push(x any)        { *h = append(*h, x.(*mergeInput)) }
func (h *mergeInputs) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// run returns how many rows of the first input come before all others'.
func (h mergeInputs) run() int {
	m := h[0]
	var next *mergeInput
	for _, o := range h[1:min(3, len(h))] {
		if next == nil || o.compareAt(o.at, next, next.at) < 0 {
			next = o
		}
	}
	if next == nil || m.compareAt(m.end-1, next, next.at) < 0 {
		return m.end - m.at
	}
	n := 1
	for m.compareAt(m.at+n, next, next.at) < 0 {
		n++
	}
	return n
}

// A merge reads sorted files as one.
type merge struct {
	columns []fileColumn
	open    []*fileReader
	inputs  mergeInputs
}

// mergeMemory bounds the values of all windows of a merge, in bytes.
const mergeMemory = 64 << 20

// openMerge opens data files; the columns are all that one of them has.
func (t *Table) openMerge(ctx context.Context, s *Snapshot, files []*File) (*merge, error) {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.Path
	}
	m := new(merge)
	if err := m.openAll(ctx, t, paths); err != nil {
		return nil, err
	}
	m.columns = mergeColumns(s, m.open)
	return m, m.start(true)
}

// openHourly opens files of hourly aggregates.
func (t *Table) openHourly(ctx context.Context, paths []string) (*merge, error) {
	m := &merge{columns: hourlyColumns}
	if err := m.openAll(ctx, t, paths); err != nil {
		return nil, err
	}
	return m, m.start(false)
}

func (m *merge) openAll(ctx context.Context, t *Table, paths []string) error {
	for _, path := range paths {
		r, err := t.openFile(ctx, path)
		if err != nil {
			m.close()
			return err
		}
		m.open = append(m.open, r)
	}
	return nil
}

// start puts each input on its first row.
func (m *merge) start(keyed bool) error {
	const valueSize = 24
	size := min(pageRows, max(16, mergeMemory/valueSize/len(m.columns)/len(m.open)))
	for i, r := range m.open {
		in := &mergeInput{r: r, columns: m.columns, values: make([][]parquet.Value, len(m.columns)), size: int64(size), order: i, keyed: keyed}
		for g, group := range r.groups {
			in.spans = append(in.spans, span{g, 0, group.NumRows()})
		}
		ok, err := in.step(0)
		if err != nil {
			m.close()
			return err
		}
		if ok {
			m.inputs = append(m.inputs, in)
		}
	}
	heap.Init(&m.inputs)
	return nil
}

func (m *merge) close() {
	for _, r := range m.open {
		_ = r.close()
	}
}

// mergeColumns are those of the table that a file has. A column goes on
// without a dictionary where one of the files did.
func mergeColumns(s *Snapshot, open []*fileReader) (columns []fileColumn) {
	for i, c := range s.Columns() {
		column := fileColumn{Column: c, required: i < requiredColumns}
		has := column.required
		for _, r := range open {
			if leaf, ok := r.leaf[fold(c.Name)]; ok {
				has = true
				column.distinct = column.distinct || isPlain(r, leaf)
			}
		}
		if has {
			columns = append(columns, column)
		}
	}
	return columns
}

// requiredColumns is the number of base columns that every row has.
const requiredColumns = 6

func isPlain(r *fileReader, leaf int) bool {
	for _, g := range r.file.Metadata().RowGroups {
		if !slices.Contains(g.Columns[leaf].MetaData.Encoding, parquetformat.RLEDictionary) {
			return true
		}
	}
	return false
}

// each hands the rows on in their order, in runs of at most pageRows of one
// input: rows from to to of the columns' values.
func (m *merge) each(ctx context.Context, take func(values [][]parquet.Value, from, to int) error) error {
	for len(m.inputs) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		in := m.inputs[0]
		n := m.inputs.run()
		if err := take(in.values, in.at, in.at+n); err != nil {
			return err
		}
		ok, err := in.step(n)
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&m.inputs, 0)
		} else {
			heap.Pop(&m.inputs)
		}
	}
	return nil
}

// A pager gathers rows to pages of a file.
type pager struct {
	out  *fileWriter
	rows int // of the page at hand
	page [][]parquet.Value
	size int
}

func newPager(out *fileWriter, size int) *pager {
	return &pager{out: out, page: make([][]parquet.Value, len(out.columns)), size: size}
}

func (p *pager) take(values [][]parquet.Value, from, to int) error {
	for from < to {
		n := min(to-from, p.size-p.rows)
		for i := range p.page {
			p.page[i] = append(p.page[i], values[i][from:from+n]...)
		}
		p.rows += n
		from += n
		if p.rows == p.size {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pager) flush() error {
	if p.rows == 0 {
		return nil
	}
	err := p.out.page(p.rows, func(column int, values []parquet.Value) []parquet.Value {
		return append(values, p.page[column]...)
	})
	for i := range p.page {
		clear(p.page[i])
		p.page[i] = p.page[i][:0]
	}
	p.rows = 0
	return err
}

// sortedFiles are those of a day that can be merged.
func sortedFiles(files []*File) []*File {
	return slices.DeleteFunc(slices.Clone(files), func(f *File) bool { _, ok := f.add.Tags[sortedTag]; return !ok })
}
