package lake

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// A cursor goes through the rows of one file that a scan wants, window by
// window.
type cursor struct {
	sc      *Scan
	r       *fileReader
	spans   []span // to read, in the order in which they are read
	back    bool   // from the last row of a window to the first
	size    int64  // rows of a window
	record  *Record
	next0   int   // the row of the window that comes next
	rows    []int // of the window: those that are wanted
	device  []parquet.Value
	time    []parquet.Value
	enq     []parquet.Value
	part    []parquet.Value
	seq     []parquet.Value
	index   []parquet.Value
	columns [][]parquet.Value
}

// open returns a cursor before the first row; back begins with the last one.
func (sc *Scan) open(ctx context.Context, f *File, back bool) (*cursor, error) {
	r, err := sc.t.openFile(ctx, f.Path)
	if err != nil {
		return nil, err
	}
	c := &cursor{sc: sc, r: r, back: back, columns: make([][]parquet.Value, len(sc.Columns)), record: &Record{Values: make([]Value, len(sc.Columns))}}
	c.size = int64(pageRowsOf(len(sc.Columns)))
	if c.spans, err = r.spans(sc.q.Device, sc.from, sc.to); err != nil {
		c.close()
		return nil, err
	}
	if _, sorted := f.add.Tags[sortedTag]; !sorted && sc.q.Device != "" {
		c.size = math.MaxInt64
		err = c.sortAll(ctx)
	}
	return c, err
}

func (c *cursor) close() { _ = c.r.close() }

// next steps to the next row, or reports that there is none.
func (c *cursor) next(ctx context.Context) (bool, error) {
	for c.next0 >= len(c.rows) {
		if len(c.spans) == 0 {
			return false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if err := c.load(c.window()); err != nil {
			return false, err
		}
	}
	i := c.next0
	if c.back {
		i = len(c.rows) - 1 - i
	}
	c.next0++
	c.fill(c.rows[i])
	return true, nil
}

// window takes the next rows to read off the spans: at the end of a page, so
// that none is read twice.
func (c *cursor) window() span {
	if c.back {
		last := &c.spans[len(c.spans)-1]
		w := span{last.group, max(last.from, (last.to-1)/c.size*c.size), last.to}
		if last.to = w.from; last.from == last.to {
			c.spans = c.spans[:len(c.spans)-1]
		}
		return w
	}
	first := &c.spans[0]
	w := span{first.group, first.from, first.to}
	if n := c.size - first.from%c.size; first.to-first.from > n {
		w.to = first.from + n
	}
	if first.from = w.to; first.from == first.to {
		c.spans = c.spans[1:]
	}
	return w
}

// load reads the rows of a window that are wanted: first what they are chosen
// by, then the rest of what is between the first and the last of them.
func (c *cursor) load(w span) (err error) {
	read := func(column string, into *[]parquet.Value) {
		if err == nil {
			*into, err = c.r.read(w, column, (*into)[:0])
		}
	}
	read(DeviceID, &c.device)
	read(Time, &c.time)
	read(EnqueuedAt, &c.enq)
	if err != nil {
		return err
	}
	c.next0 = 0
	if w = c.choose(w); len(c.rows) == 0 {
		return nil
	}
	read(Partition, &c.part)
	read(Seq, &c.seq)
	read(Index, &c.index)
	for i, column := range c.sc.Columns {
		read(column.Name, &c.columns[i])
	}
	if c.sc.q.After != nil && err == nil {
		c.rows = slices.DeleteFunc(c.rows, func(row int) bool { return c.isBefore(c.place(row)) })
	}
	return err
}

// choose sets rows to those that are wanted, and cuts the window to them.
func (c *cursor) choose(w span) span {
	c.rows = c.rows[:0]
	sc := c.sc
	for i := range c.time {
		at, enq := c.time[i].Int64(), c.enq[i].Int64()
		if (sc.q.Device == "" || string(c.device[i].ByteArray()) == sc.q.Device) && sc.from <= at && at < sc.to && sc.enqFrom <= enq && enq < sc.enqTo {
			c.rows = append(c.rows, i)
		}
	}
	if len(c.rows) == 0 {
		return w
	}
	first, last := c.rows[0], c.rows[len(c.rows)-1]
	c.device, c.time, c.enq = c.device[first:last+1], c.time[first:last+1], c.enq[first:last+1]
	for i := range c.rows {
		c.rows[i] -= first
	}
	return span{w.group, w.from + int64(first), w.from + int64(last) + 1}
}

// isBefore reports that a row is After, or comes before it.
func (c *cursor) isBefore(p Place) bool {
	n := p.Compare(*c.sc.q.After)
	return n == 0 || (n < 0) == c.sc.q.Oldest
}

func (c *cursor) place(row int) Place {
	return Place{c.time[row].Int64(), int(c.part[row].Int32()), c.seq[row].Int64(), int(c.index[row].Int32())}
}

func (c *cursor) fill(row int) {
	r := c.record
	r.Place = c.place(row)
	if id := c.device[row].ByteArray(); r.DeviceID != string(id) {
		r.DeviceID = string(id)
	}
	r.EnqueuedAt = time.UnixMicro(c.enq[row].Int64()).UTC()
	for i := range c.columns {
		r.Values[i] = valueOf(c.columns[i][row], c.sc.Columns[i].Type)
	}
}

// sortAll reads all rows of a file that is not in order, as those of other
// writers are.
func (c *cursor) sortAll(ctx context.Context) error {
	var all cursor
	for len(c.spans) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.load(c.window()); err != nil {
			return err
		}
		all.take(c)
	}
	c.device, c.time, c.enq, c.part, c.seq, c.index, c.columns = all.device, all.time, all.enq, all.part, all.seq, all.index, all.columns
	c.next0, c.rows = 0, all.rows
	slices.SortFunc(c.rows, func(a, b int) int { return c.place(a).Compare(c.place(b)) })
	return nil
}

// take appends the wanted rows of c's window.
func (all *cursor) take(c *cursor) {
	if all.columns == nil {
		all.columns = make([][]parquet.Value, len(c.columns))
	}
	for _, row := range c.rows {
		all.rows = append(all.rows, len(all.rows))
		all.device, all.time, all.enq = append(all.device, c.device[row]), append(all.time, c.time[row]), append(all.enq, c.enq[row])
		all.part, all.seq, all.index = append(all.part, c.part[row]), append(all.seq, c.seq[row]), append(all.index, c.index[row])
		for i := range c.columns {
			all.columns[i] = append(all.columns[i], c.columns[i][row])
		}
	}
}

// cursors is a heap of those that stand on a row: the next row is the first's.
type cursors struct {
	all  []*cursor
	back bool
}

func (h *cursors) Len() int      { return len(h.all) }
func (h *cursors) Swap(i, j int) { h.all[i], h.all[j] = h.all[j], h.all[i] }
func (h *cursors) Push(c any)    { h.all = append(h.all, c.(*cursor)) }
func (h *cursors) Less(i, j int) bool {
	n := h.all[i].record.Compare(h.all[j].record.Place)
	return n < 0 && !h.back || n > 0 && h.back
}

func (h *cursors) Pop() any {
	last := h.all[len(h.all)-1]
	h.all = h.all[:len(h.all)-1]
	return last
}

// byTime yields the rows of one device in the order of their times: files are
// merged, and opened not before their rows may come next.
func (sc *Scan) byTime(ctx context.Context, yield func(*Record, error) bool) {
	back := !sc.q.Oldest
	files := sc.files()
	slices.SortStableFunc(files, func(a, b *File) int { return cmp.Compare(edge(a, back), edge(b, back)) })
	open := &cursors{back: back}
	defer func() {
		for _, c := range open.all {
			c.close()
		}
	}()
	for {
		for len(files) > 0 && (open.Len() == 0 || edge(files[0], back) <= rank(open.all[0].record.Time, back)) {
			c, err := sc.open(ctx, files[0], back)
			if err == nil {
				err = open.step(ctx, c)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			files = files[1:]
		}
		if open.Len() == 0 {
			return
		}
		c := heap.Pop(open).(*cursor)
		if !yield(c.record, nil) {
			c.close()
			return
		}
		if err := open.step(ctx, c); err != nil {
			yield(nil, err)
			return
		}
	}
}

// step moves a cursor to its next row and into the heap, or closes it.
func (h *cursors) step(ctx context.Context, c *cursor) error {
	ok, err := c.next(ctx)
	if !ok {
		c.close()
		return err
	}
	heap.Push(h, c)
	return nil
}

// edge is the rank of the first row that a file may have.
func edge(f *File, back bool) int64 {
	t := f.bounds.MinValues.Time
	if back {
		t = f.bounds.MaxValues.Time
	}
	if t == nil {
		return math.MinInt64
	}
	return rank(t.UnixMicro(), back)
}

// rank orders times as they are read.
func rank(us int64, back bool) int64 {
	if back {
		return -us
	}
	return us
}
