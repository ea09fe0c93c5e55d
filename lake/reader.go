package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/weir-iot/weir/blob"
)

// A fileReader reads rows of a Parquet file by place, of some columns.
type fileReader struct {
	object blob.Object
	file   *parquet.File
	path   string
	groups []parquet.RowGroup
	leaf   map[string]int // leaf columns by folded name

	group int             // whose pages are open
	pages []parquet.Pages // by leaf column; nil: not open
}

// A span is a run of rows of a row group.
type span struct {
	group    int
	from, to int64
}

// openFile opens a file of the table; only its footer is read.
func (t *Table) openFile(ctx context.Context, path string) (r *fileReader, err error) {
	o, err := t.bucket.Open(ctx, t.root+path)
	if err != nil {
		return nil, fmt.Errorf("lake: opening %s: %w", path, err)
	}
	r = &fileReader{object: o, path: path, group: -1, leaf: map[string]int{}}
	err = r.guard(func() error {
		r.file, err = parquet.OpenFile(o, o.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.OptimisticRead(true), parquet.ReadBufferSize(16<<10))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	r.groups = r.file.RowGroups()
	for i, path := range r.file.Schema().Columns() {
		if len(path) == 1 {
			r.leaf[fold(path[0])] = i
		}
	}
	r.pages = make([]parquet.Pages, len(r.file.Schema().Columns()))
	return r, nil
}

// guard runs what reads the file: the library panics on some damaged files.
func (r *fileReader) guard(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s: %v", ErrCorrupt, r.path, p)
		}
	}()
	if err = read(); err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrCorrupt, r.path, err)
	}
	return err
}

func (r *fileReader) close() error {
	r.closePages()
	return r.object.Close()
}

func (r *fileReader) closePages() {
	for i, p := range r.pages {
		if p != nil {
			_ = p.Close()
			r.pages[i] = nil
		}
	}
}

func (r *fileReader) chunk(group int, column string) *parquet.FileColumnChunk {
	leaf, ok := r.leaf[fold(column)]
	if !ok {
		return nil
	}
	c, _ := r.groups[group].ColumnChunks()[leaf].(*parquet.FileColumnChunk)
	return c
}

// spans returns the rows that may be of a device, "" for all, with a time in
// [from, to) in microseconds: by the bounds of row groups, the bloom filter and
// the page indexes.
func (r *fileReader) spans(device string, from, to int64) (all []span, err error) {
	err = r.guard(func() error {
		for g := range r.groups {
			some := []span{{g, 0, r.groups[g].NumRows()}}
			if device != "" {
				some = r.devicePages(g, device)
			}
			if len(some) > 0 {
				some = intersect(some, r.timePages(g, from, to))
			}
			all = append(all, some...)
		}
		return nil
	})
	return all, err
}

func (r *fileReader) devicePages(group int, device string) []span {
	c, id := r.chunk(group, DeviceID), parquet.ByteArrayValue([]byte(device))
	all := []span{{group, 0, r.groups[group].NumRows()}}
	if c == nil {
		return all
	}
	if low, high, ok := c.Bounds(); ok && (string(low.ByteArray()) > device || string(high.ByteArray()) < device) {
		return nil
	}
	if bloom := c.BloomFilter(); bloom != nil {
		if may, err := bloom.Check(id); err == nil && !may {
			return nil
		}
	}
	return r.pagesWhere(group, c, all, func(low, high parquet.Value) bool {
		return string(low.ByteArray()) <= device && device <= string(high.ByteArray())
	})
}

func (r *fileReader) timePages(group int, from, to int64) []span {
	c, all := r.chunk(group, Time), []span{{group, 0, r.groups[group].NumRows()}}
	if c == nil {
		return all
	}
	inside := func(low, high parquet.Value) bool { return low.Int64() < to && from <= high.Int64() }
	if low, high, ok := c.Bounds(); ok && !inside(low, high) {
		return nil
	}
	return r.pagesWhere(group, c, all, inside)
}

// pagesWhere returns the rows of the pages whose bounds may hold; all without
// an index.
func (r *fileReader) pagesWhere(group int, c *parquet.FileColumnChunk, all []span, may func(low, high parquet.Value) bool) (some []span) {
	index, err := c.ColumnIndex()
	if err != nil {
		return all
	}
	offsets, err := c.OffsetIndex()
	if err != nil || offsets.NumPages() != index.NumPages() {
		return all
	}
	for i := range index.NumPages() {
		if index.NullPage(i) || !may(index.MinValue(i), index.MaxValue(i)) {
			continue
		}
		from, to := offsets.FirstRowIndex(i), all[0].to
		if i+1 < offsets.NumPages() {
			to = offsets.FirstRowIndex(i + 1)
		}
		if n := len(some); n > 0 && some[n-1].to == from {
			some[n-1].to = to
		} else {
			some = append(some, span{group, from, to})
		}
	}
	return some
}

// intersect returns the rows that are in both: spans of one row group, ascending.
func intersect(a, b []span) (both []span) {
	for len(a) > 0 && len(b) > 0 {
		s := span{a[0].group, max(a[0].from, b[0].from), min(a[0].to, b[0].to)}
		if s.from < s.to {
			both = append(both, s)
		}
		if a[0].to < b[0].to {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return both
}

// read appends the values of a column in a span of one row group to values,
// nulls if the file has no such column. Texts stay valid.
func (r *fileReader) read(s span, column string, values []parquet.Value) ([]parquet.Value, error) {
	leaf, ok := r.leaf[fold(column)]
	if !ok {
		return append(values, make([]parquet.Value, s.to-s.from)...), nil
	}
	err := r.guard(func() (err error) {
		values, err = r.readLeaf(s, leaf, values)
		return err
	})
	return values, err
}

func (r *fileReader) readLeaf(s span, leaf int, values []parquet.Value) ([]parquet.Value, error) {
	if r.group != s.group {
		r.closePages()
		r.group = s.group
	}
	pages := r.pages[leaf]
	if pages == nil {
		c := r.groups[s.group].ColumnChunks()[leaf]
		_, _ = c.OffsetIndex() // without it the seek below reads every page
		pages = c.Pages()
		r.pages[leaf] = pages
	}
	if err := pages.SeekToRow(s.from); err != nil {
		return values, err
	}
	for left := s.to - s.from; left > 0; {
		page, err := pages.ReadPage()
		if err != nil {
			return values, fmt.Errorf("column %q: %w", r.column(leaf), unexpected(err))
		}
		n := min(left, page.NumRows())
		if values, err = appendValues(values, page.Slice(0, n)); err != nil {
			return values, fmt.Errorf("column %q: %w", r.column(leaf), err)
		}
		parquet.Release(page)
		left -= n
	}
	return values, nil
}

func (r *fileReader) column(leaf int) string {
	return strings.Join(r.file.Schema().Columns()[leaf], ".")
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendValues copies a page's values, texts too: the page is used again.
func appendValues(values []parquet.Value, page parquet.Page) ([]parquet.Value, error) {
	from, n := len(values), int(page.NumValues())
	values = append(values, make([]parquet.Value, n)...)
	read, err := page.Values().ReadValues(values[from:])
	if read != n {
		return values[:from], fmt.Errorf("%d of %d values: %w", read, n, unexpected(err))
	}
	size := 0
	for _, v := range values[from:] {
		if v.Kind() == parquet.ByteArray {
			size += len(v.ByteArray())
		}
	}
	if size == 0 {
		return values, nil
	}
	text := make([]byte, 0, size)
	for i := from; i < len(values); i++ {
		if v := values[i]; v.Kind() == parquet.ByteArray {
			at := len(text)
			text = append(text, v.ByteArray()...)
			values[i] = parquet.ByteArrayValue(text[at:len(text):len(text)])
		}
	}
	return values, nil
}
