package lake

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// A Query says which rows a scan returns. The zero Query is all of them.
type Query struct {
	Device   string    // "" is every device
	From, To time.Time // of the payload's own time, To not included; zero is open
	// EnqueuedFrom and EnqueuedTo are of the time at which the log took them.
	EnqueuedFrom, EnqueuedTo time.Time
	// Columns are the names of the values to return; nil is all that the table
	// has, less those that a Record has fields for.
	Columns []string
	// Oldest begins with the oldest row, else with the newest. Rows of one device
	// come in the order of their times. Rows of all devices come day by day, and
	// within a day file by file, each by device and time.
	Oldest bool
	// After leaves out the rows up to this one, of one device, in their order.
	After *Place
	Limit int // rows; 0 is all
}

// A Place is where a row of a device is in the order of its rows.
type Place struct {
	Time      int64 // microseconds since 1970
	Partition int
	Seq       int64
	Index     int
}

// Compare orders places by time, then by their place in the log.
func (p Place) Compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Time, o.Time), cmp.Compare(p.Partition, o.Partition), cmp.Compare(p.Seq, o.Seq), cmp.Compare(p.Index, o.Index))
}

// A Record is a row of the table.
type Record struct {
	Place
	DeviceID   string
	EnqueuedAt time.Time
	Values     []Value // of the scan's Columns
}

// When returns the payload's own time, or EnqueuedAt where it has none.
func (r *Record) When() time.Time { return time.UnixMicro(r.Time).UTC() }

// A Scan reads the rows of a query out of one snapshot.
type Scan struct {
	Columns []Column // of each Record's Values
	t       *Table
	s       *Snapshot
	q       Query
	from    int64 // µs
	to      int64
	enqFrom int64
	enqTo   int64
}

// Scan prepares to read the table as it is now. A column that it does not have
// is an error.
func (t *Table) Scan(ctx context.Context, q Query) (*Scan, error) {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	sc := &Scan{t: t, s: s, q: q}
	sc.from, sc.to = microRange(q.From, q.To)
	sc.enqFrom, sc.enqTo = microRange(q.EnqueuedFrom, q.EnqueuedTo)
	if q.Columns == nil {
		sc.Columns = slices.DeleteFunc(s.Columns(), func(c Column) bool { return isKey(c.Name) })
		return sc, nil
	}
	names := s.names()
	for _, name := range q.Columns {
		c, ok := names[fold(name)]
		if !ok || c.Type == "" {
			return nil, fmt.Errorf("lake: the table has no column %q", name)
		}
		sc.Columns = append(sc.Columns, c)
	}
	return sc, nil
}

// isKey tells the columns that are fields of a Record, or of the path.
func isKey(name string) bool {
	switch name {
	case DeviceID, Time, EnqueuedAt, Partition, Seq, Index, Year, Month, Day:
		return true
	}
	return false
}

func microRange(from, to time.Time) (int64, int64) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if !from.IsZero() {
		low = from.UnixMicro()
		if from.Nanosecond()%1000 != 0 {
			low++
		}
	}
	if !to.IsZero() {
		high = to.UnixMicro()
		if to.Nanosecond()%1000 != 0 {
			high++
		}
	}
	return low, high
}

// Rows yields the rows. A Record is valid until the next one; its texts stay.
func (sc *Scan) Rows(ctx context.Context) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		n := 0
		counted := func(r *Record, err error) bool {
			n++
			return yield(r, err) && (sc.q.Limit <= 0 || n < sc.q.Limit)
		}
		if sc.q.Device != "" {
			sc.byTime(ctx, counted)
		} else {
			sc.byFile(ctx, counted)
		}
	}
}

// files returns those that may have rows of the query.
func (sc *Scan) files() []*File {
	q := &sc.q
	return slices.DeleteFunc(sc.s.Files(), func(f *File) bool {
		if q.Device != "" && !f.bounds.hasDevice(q.Device) || !f.bounds.hasTime(q.From, q.To) {
			return true
		}
		return !f.Day.IsZero() && (!q.EnqueuedTo.IsZero() && !f.Day.Before(q.EnqueuedTo) ||
			!q.EnqueuedFrom.IsZero() && !f.Day.AddDate(0, 0, 1).After(q.EnqueuedFrom))
	})
}

// byFile yields the rows of all devices.
func (sc *Scan) byFile(ctx context.Context, yield func(*Record, error) bool) {
	files := sc.files()
	if !sc.q.Oldest {
		slices.SortStableFunc(files, func(a, b *File) int { return cmp.Or(b.Day.Compare(a.Day), strings.Compare(a.Path, b.Path)) })
	}
	for _, f := range files {
		c, err := sc.open(ctx, f, false)
		if err != nil {
			yield(nil, err)
			return
		}
		ok, err := true, error(nil)
		for ok && err == nil {
			if ok, err = c.next(ctx); ok {
				ok = yield(c.record, nil)
				if !ok {
					c.close()
					return
				}
			}
		}
		c.close()
		if err != nil {
			yield(nil, err)
			return
		}
	}
}
