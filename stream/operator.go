package stream

import (
	"math"

	"github.com/weir-iot/weir/saql"
)

// An Emit takes a row that an operator made. The row is valid during the call:
// who keeps it keeps a clone. An error is fatal: it ends the job.
type Emit func(row *saql.Row) error

// An Operator is one deterministic step of a query: no goroutine, clock or I/O.
// Rows come in the order of (time, partition, seq, index); a row is never older
// than a watermark that was given before.
type Operator interface {
	// Process takes a row that came in at a port: 0, or 1 for the right side of a join.
	Process(port int, row *saql.Row, emit Emit) error
	// Advance tells that no row at or before the watermark comes any more:
	// windows that end at or before it give their rows, in the order of their ends.
	Advance(watermark saql.Ticks, emit Emit) error
	// Snapshot appends the operator's state; equal states give equal bytes.
	Snapshot(b []byte) []byte
	// Restore replaces the state by one that Snapshot of the same fingerprint gave.
	Restore(state []byte) error
}

// A Timed is an Operator that Advance makes give rows. An Instance advances all
// its operators to the earliest Next, then to the one after, and so on: rows of
// several operators come out in the order of their time, however far apart the
// watermarks are.
type Timed interface {
	// Next returns the least watermark at which Advance has something to give,
	// or never.
	Next() saql.Ticks
}

// never is a time that no watermark reaches.
const never saql.Ticks = math.MaxInt64

// A RowError is what one row made fail: a CAST, a division by zero, a wrong
// type. The row that an operator was making is not made; the job goes on or
// stops as its policy says.
type RowError struct {
	At     saql.Pos // of the expression
	Key    saql.Key // of the row, or of the last row of a group
	Reason string
}

func (e *RowError) Error() string { return e.Reason }

// A Failure takes row errors; what it returns, if not nil, is fatal.
type Failure func(*RowError) error

// stateless is embedded by operators that keep nothing and give nothing later.
type stateless struct{}

func (stateless) Advance(saql.Ticks, Emit) error { return nil }
func (stateless) Snapshot(b []byte) []byte       { return b }
func (stateless) Restore([]byte) error           { return nil }
