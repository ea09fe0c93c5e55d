package lake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-iot/weir/internal/failpoint"
)

// WriterOptions bound what a Writer keeps in memory. The zero value works.
type WriterOptions struct {
	MaxAge     time.Duration // how long a row waits for its commit; 0 is 60 s
	MaxRows    int           // of a commit; 0 is 1,000,000
	MaxBytes   int           // of rows that wait, decoded; 0 is 128 MB
	MaxColumns int           // of the table; what comes later goes to the rest; 0 is 500
	// Body keeps the payload of each row, in addition to what became of it.
	Body bool
	// Speaks says whether a sender may write rows of another device; nil allows
	// it. A row that it may not is the sender's.
	Speaks func(sender, device string) bool
}

// A Txn says how far an application has come with its rows: Version is the Seq
// of the last one, or of one after it that has no row. Rows up to the version
// that the table has of that application are there already, and are left out.
type Txn struct {
	App     string
	Version int64
}

// WriterStats count what a Writer did since it was made.
type WriterStats struct {
	Rows, Files, Bytes int64
	Whole              int64 // rows whose payload could not be taken apart
	Sides              int64 // values of another type than their field's first
}

// A Writer appends rows to a table. It is for one goroutine.
type Writer struct {
	t     *Table
	opts  WriterOptions
	buf   buffer
	dec   *decoder
	names names // the table's columns, as the Writer last saw them
	added int   // columns that the buffer has and the table has not

	pending  map[string]int64 // by application: the version to commit
	segments []segment
	since    time.Time // of the oldest row that waits
	stats    WriterStats
	told     map[string]bool
}

// A segment says which application rows of the buffer are of: those up to to.
type segment struct {
	app string
	to  int
}

// Writer returns a new Writer.
func (t *Table) Writer(opts WriterOptions) *Writer {
	orElse := func(v *int, value int) {
		if *v <= 0 {
			*v = value
		}
	}
	orElse(&opts.MaxRows, 1_000_000)
	orElse(&opts.MaxBytes, 128<<20)
	orElse(&opts.MaxColumns, 500)
	if opts.MaxAge <= 0 {
		opts.MaxAge = time.Minute
	}
	w := &Writer{t: t, opts: opts, pending: map[string]int64{}, told: map[string]bool{}, names: t.known().names()}
	w.dec = newDecoder(&w.buf, w.admit)
	w.dec.speaks, w.dec.keepBody = opts.Speaks, opts.Body
	return w
}

// admit gives a field a column where the table has it, or has room for it.
func (w *Writer) admit(path string, kind Type) bool {
	_, isNew, ok := w.names.place(path, kind)
	if ok && isNew {
		if len(w.names)+w.added >= w.opts.MaxColumns {
			w.once("lake: the table has no room for more columns: other fields go to the rest", "columns", w.opts.MaxColumns, "field", path)
			return false
		}
		w.added++
	}
	return ok
}

// once logs a message the first time that it is to be logged.
func (w *Writer) once(message string, args ...any) {
	if !w.told[message] {
		w.told[message] = true
		w.t.logger.Warn(message, args...)
	}
}

// Committed returns the version of app that is in the table: what is after it
// must be appended again after a crash.
func (w *Writer) Committed(app string) (version int64, ok bool) { return w.t.known().Committed(app) }

// Append takes rows of an application, in the order of their Seq, and how far
// it has come with them. They are in the table after the next Flush, which
// Append does first when the buffer is full. With an error nothing was taken.
func (w *Writer) Append(ctx context.Context, rows []Row, txn Txn) error {
	if w.buf.rows > 0 && (w.buf.rows+len(rows) > w.opts.MaxRows || w.buf.size >= w.opts.MaxBytes) {
		if err := w.Flush(ctx); err != nil {
			return err
		}
	}
	last, known := w.pending[txn.App]
	if !known {
		last, known = w.Committed(txn.App)
	}
	if known && txn.Version <= last {
		return nil
	}
	if len(w.pending) == 0 {
		w.since = w.t.opts.Now()
	}
	for i := range rows {
		if known && rows[i].Seq <= last {
			continue
		}
		if w.dec.decode(&rows[i]) != nil {
			w.stats.Whole++
		}
	}
	w.pending[txn.App] = txn.Version
	if n := len(w.segments); n > 0 && w.segments[n-1].app == txn.App {
		w.segments[n-1].to = w.buf.rows
	} else {
		w.segments = append(w.segments, segment{txn.App, w.buf.rows})
	}
	return nil
}

// Due returns when the rows that wait must be flushed, false if there are none.
func (w *Writer) Due() (at time.Time, ok bool) { return w.since.Add(w.opts.MaxAge), len(w.pending) > 0 }

// Stats returns what the Writer did so far.
func (w *Writer) Stats() WriterStats { return w.stats }

// Flush commits the rows that wait and the versions of their applications. With
// an error they wait on, and the next Flush writes what is not in the table.
func (w *Writer) Flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	var last *flush
	s, err := w.t.commit(ctx, "WRITE", w.t.known(), func(s *Snapshot) ([]action, error) {
		if last != nil && last.in(s) {
			return nil, nil // our commit it was, whose answer was lost
		}
		f, err := w.plan(s)
		if err != nil {
			return nil, err
		}
		if last != nil && f.sameFiles(last) {
			f.files = last.files
		} else {
			if last != nil {
				w.t.discard(ctx, last.files)
			}
			if err := w.write(ctx, f); err != nil {
				return nil, err
			}
		}
		last = f
		return f.actions(w.t.opts.Now()), nil
	})
	if err != nil {
		return fmt.Errorf("lake: flushing %d rows: %w", w.buf.rows, err)
	}
	w.flushed(s, last)
	return nil
}

func (w *Writer) flushed(s *Snapshot, f *flush) {
	for _, a := range f.files {
		w.stats.Files++
		w.stats.Bytes += a.Size
	}
	w.stats.Rows += f.rows
	for _, c := range f.added {
		w.t.logger.Info("lake: column added", "column", c.Name, "type", c.Type)
	}
	w.names, w.added = s.names(), 0
	w.buf.reset()
	w.segments = w.segments[:0]
	clear(w.pending)
}

// A flush is what one commit of a Writer brings into a snapshot.
type flush struct {
	txns    []txn
	marks   map[string]int64 // what the table had of our applications
	columns []source
	added   []Column
	meta    *metaData // with added columns, else nil
	drop    []bool    // by row: it is in the table already; nil if none is
	rows    int64
	files   []add
}

// A source is a column of the file to write, and where its values are.
type source struct {
	fileColumn
	from *bufferColumn // nil for those that every row has
}

// plan says what to write into s, and moves values to the rest that have no
// place in it.
func (w *Writer) plan(s *Snapshot) (*flush, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	f := &flush{marks: map[string]int64{}}
	now := w.t.opts.Now().UnixMilli()
	for _, app := range slices.Sorted(maps.Keys(w.pending)) {
		mark, known := s.Committed(app)
		if known {
			f.marks[app] = mark
		}
		if !known || mark < w.pending[app] {
			f.txns = append(f.txns, txn{app, w.pending[app], now})
		}
	}
	f.drop = w.drop(f.marks)
	w.placeColumns(s, f)
	if len(f.added) > 0 {
		meta := s.meta
		meta.SchemaString = s.schema.with(f.added...).text()
		f.meta = &meta
	}
	return f, nil
}

// drop marks the rows that the table has already.
func (w *Writer) drop(marks map[string]int64) (drop []bool) {
	from := 0
	for _, seg := range w.segments {
		mark, known := marks[seg.app]
		for row := from; known && row < seg.to; row++ {
			if w.buf.seq[row] > mark {
				continue
			}
			if drop == nil {
				drop = make([]bool, w.buf.rows)
			}
			drop[row] = true
		}
		from = seg.to
	}
	return drop
}

// placeColumns finds the table's column of each that has values.
func (w *Writer) placeColumns(s *Snapshot, f *flush) {
	for _, c := range baseColumns[:6] {
		f.columns = append(f.columns, source{fileColumn: fileColumn{Column: c, required: true}})
	}
	names, used := s.names(), map[string]bool{}
	var base, measures []source
	for _, c := range w.buf.columns {
		switch {
		case len(c.at) == 0:
		case c.base:
			base = append(base, source{fileColumn{Column: Column{c.path, c.kind}}, c})
		default:
			at, isNew, ok := names.place(c.path, c.kind)
			if !ok || used[fold(at.Name)] {
				w.once("lake: a field has values of types that have no column: they go to the rest", "field", c.path, "type", c.kind)
				w.buf.spill(w.dec.base[Rest], c)
				continue
			}
			if fold(at.Name) != fold(c.path) {
				w.stats.Sides += int64(len(c.at))
				w.once("lake: a field changed its type: the values have a column of their own", "field", c.path, "column", at.Name)
			}
			used[fold(at.Name)] = true
			if isNew {
				names[fold(at.Name)] = at
				f.added = append(f.added, at)
			}
			measures = append(measures, source{fileColumn{Column: at}, c})
		}
	}
	base = slices.DeleteFunc(base, func(c source) bool { return c.Name == Rest })
	if rest := w.dec.base[Rest]; len(rest.at) > 0 { // also of what was spilled just now
		base = append(base, source{fileColumn{Column: Column{Rest, String}}, rest})
	}
	f.columns = append(append(f.columns, base...), measures...)
}

// sameFiles reports whether the files of an earlier attempt are those of f.
func (f *flush) sameFiles(earlier *flush) bool {
	same := func(a, b source) bool { return a.Column == b.Column && a.from == b.from }
	return maps.Equal(f.marks, earlier.marks) && slices.EqualFunc(f.columns, earlier.columns, same)
}

// in reports whether the files are in the table.
func (f *flush) in(s *Snapshot) bool {
	return len(f.files) > 0 && !slices.ContainsFunc(f.files, func(a add) bool { return s.files[a.Path] == nil })
}

func (f *flush) actions(now time.Time) (all []action) {
	if len(f.txns) == 0 {
		return nil // another process wrote all of it
	}
	for i := range f.txns {
		all = append(all, action{Txn: &f.txns[i]})
	}
	if f.meta != nil {
		all = append(all, action{MetaData: f.meta})
	}
	for i := range f.files {
		f.files[i].ModificationTime = now.UnixMilli()
		all = append(all, action{Add: &f.files[i]})
	}
	return all
}

// write writes the files of f, one for each day.
func (w *Writer) write(ctx context.Context, f *flush) error {
	f.files, f.rows = nil, 0
	for _, d := range w.buf.days(func(row int) bool { return f.drop == nil || !f.drop[row] }) {
		a, err := w.writeDay(ctx, f, d)
		if err != nil {
			return err
		}
		failpoint.Hit("lake-after-file")
		f.files = append(f.files, a)
		f.rows += int64(len(d.rows))
	}
	return nil
}
