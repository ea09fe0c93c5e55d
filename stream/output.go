package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/weir-iot/weir/saql"
)

// An Ordinal counts the rows that one shard of a job writes to one output, from
// 0. It is the same for the same row however often the job is restarted.
type Ordinal int64

// None is the ordinal before the first row.
const None Ordinal = -1

// A Shard is one sequence of rows: what one shard of a job's generation writes
// to one output. Ordinals of different shards have nothing to do with each other.
type Shard struct {
	Job        string
	Output     string // the alias as the job's query first writes it
	Generation string // another one when a job begins anew, with other rows; never used again
	Shard      int
}

// RowID returns a text that stands for one row wherever it is written, however
// often.
func (s Shard) RowID(o Ordinal) string {
	return fmt.Sprintf("%s:%s:%s:%d:%d", s.Job, s.Output, s.Generation, s.Shard, o)
}

// An OutputRow is a row as outputs take it: all of them write JSON, so it is
// encoded once, when it is made. It is valid during the call.
type OutputRow struct {
	Ordinal Ordinal
	Time    saql.Ticks // System.Timestamp()
	Data    []byte     // a JSON object
}

// ErrRefused wraps what an output refuses for good: to write the rows again
// would not help. Other errors are for a while, and are tried again.
var ErrRefused = errors.New("stream: the output refuses the row")

// An Output takes the rows of jobs. Calls for different shards may come at the
// same time; those of one shard come one after the other.
type Output interface {
	// Mark returns the highest ordinal that was written, None if there is none.
	// After a restart it is the highest that is durable.
	Mark(ctx context.Context, shard Shard) (Ordinal, error)
	// Write writes rows, which are in order and behind the mark, and moves the
	// mark to the last of them: both or neither. An output that cannot do that
	// writes the rows at least once, with an id that is the same each time. It
	// may block, and is called again after an error, perhaps with more rows; of
	// ErrRefused, with one row alone.
	Write(ctx context.Context, shard Shard, rows []OutputRow) error
	// Flush makes durable what was written, marks included.
	Flush(ctx context.Context) error
}

// writer is one shard's rows on their way to one output.
type writer struct {
	shard  Shard
	out    Output
	schema map[int]*saql.Schema // by the index of the program's output

	next Ordinal // of the row that comes next
	mark Ordinal // the highest that is written: rows up to it are made again, and skipped
	has  Ordinal // the highest that the output has: it may have refused those behind it
	rows []OutputRow
	data []byte
}

// add takes a row. It reports whether the rows should be written now.
func (w *writer) add(output int, row *saql.Row, limit int) (full bool) {
	o := w.next
	w.next++
	if o <= w.mark {
		return false
	}
	n := len(w.data)
	w.data = w.schema[output].AppendJSON(w.data, row.Values)
	w.rows = append(w.rows, OutputRow{o, row.Time, w.data[n:len(w.data):len(w.data)]})
	return len(w.data) >= limit
}

// addJSON takes a row that is encoded already, as add does.
func (w *writer) addJSON(at saql.Ticks, data []byte, limit int) (full bool) {
	o := w.next
	w.next++
	if o <= w.mark {
		return false
	}
	n := len(w.data)
	w.data = append(w.data, data...)
	w.rows = append(w.rows, OutputRow{o, at, w.data[n:len(w.data):len(w.data)]})
	return len(w.data) >= limit
}

func (w *writer) written() {
	w.mark = max(w.mark, w.next-1)
	clear(w.rows)
	w.rows, w.data = w.rows[:0], w.data[:0]
}
