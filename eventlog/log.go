// Package eventlog is the partitioned append-only log between what comes in
// and everything that reads it: the contract that every engine keeps, and the
// positions that readers follow. An engine passes the suite eventlog/logtest.
//
// It promises that a message whose done callback ran with nil is durable, that
// messages of one device keep their order, and that a slow reader never slows
// the writer or another reader. It leaves out consumer groups and checkpoints:
// readers keep their own positions.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/weir-iot/weir/telemetry"
)

var (
	// ErrFull refuses an append that does not fit in the log's byte budget of
	// records waiting for durability. Nothing of the append is kept.
	ErrFull = errors.New("eventlog: byte budget is full: too much is waiting for the disk")
	// ErrClosed refuses appends and ends reads after Close.
	ErrClosed = errors.New("eventlog: closed")
	// ErrFailed is the sticky error after a failed write or sync: nothing more
	// is ever acknowledged by this log. The cause is wrapped beside it.
	ErrFailed = errors.New("eventlog: stopped for good after an I/O error: check the disk, then restart")
	// ErrTooLarge refuses a message beyond MaxMessage.
	ErrTooLarge = errors.New("eventlog: message too large")
)

// MaxMessage bounds the encoded size of one message: 1 MB, the limit of Event Hubs.
const MaxMessage = 1 << 20

// ErrTrimmed ends a read whose position is older than what the log keeps.
type ErrTrimmed struct {
	Partition int
	Oldest    int64 // the oldest sequence number that is kept
}

func (e ErrTrimmed) Error() string {
	return fmt.Sprintf("eventlog: partition %d: position was removed by retention; the oldest kept is %d: read from Oldest() or raise retention", e.Partition, e.Oldest)
}

// ErrAhead ends a read whose position is behind a record that the log never had,
// or lost: it is another log than the position was taken from, or one of a lossy
// level after a crash of the machine.
type ErrAhead struct {
	Partition int
	Next      int64 // the sequence number of the next record
}

func (e ErrAhead) Error() string {
	return fmt.Sprintf("eventlog: partition %d: position is ahead of the log, whose next record is %d: was the log replaced or lost? Read from Oldest() or Latest()", e.Partition, e.Next)
}

// A Position is a place in one partition, between two records: by sequence
// number or by enqueue time, never by byte offset. The zero Position is Oldest.
type Position struct {
	Kind PositionKind
	Seq  int64     // of KindAfter
	Time time.Time // of KindAt
}

// PositionKind says how a Position is meant.
type PositionKind uint8

const (
	KindOldest PositionKind = iota
	KindAfter
	KindAt
	KindLatest
)

// Oldest is before the oldest record that is kept.
func Oldest() Position { return Position{} }

// After is behind the record with that sequence number; After(-1) is before
// the first record ever.
func After(seq int64) Position { return Position{Kind: KindAfter, Seq: seq} }

// At is before the first record enqueued at t or later.
func At(t time.Time) Position { return Position{Kind: KindAt, Time: t} }

// Latest is behind the newest durable record at the moment the read begins.
func Latest() Position { return Position{Kind: KindLatest} }

func (p Position) String() string {
	switch p.Kind {
	case KindAfter:
		return fmt.Sprintf("after %d", p.Seq)
	case KindAt:
		return "at " + p.Time.UTC().Format(time.RFC3339Nano)
	case KindLatest:
		return "latest"
	default:
		return "oldest"
	}
}

// Positions maps partition to Position.
type Positions map[int]Position

// A Batch is a run of consecutive messages of one partition, valid until the
// next iteration. An empty batch carries Through alone: no later record of that
// partition is enqueued earlier than that, also after a restart. A reader gets
// one for each partition that it follows when it has everything that is
// durable, at most every 100 ms, and while nothing comes in about once a second.
// Through never goes back within a read, but it may stay.
type Batch struct {
	Partition int
	Messages  []telemetry.Message
	Through   time.Time
}

// Appender takes messages in.
type Appender interface {
	// Append queues the messages: call order is log order within a partition.
	// It sets Partition, Seq and EnqueuedAt of each. done runs exactly once, in
	// call order, after all of msgs are durable (nil) or refused (an error:
	// none of them is kept). The log borrows msgs and what they point to until
	// then. Append never waits for the disk; with ErrFull, ErrTooLarge,
	// ErrFailed or ErrClosed done runs before Append returns. done must not
	// block and must not call Append. Safe for concurrent use.
	Append(msgs []telemetry.Message, done func(error))
}

// Reader follows the log.
type Reader interface {
	// Partitions returns the number of partitions; it never changes.
	Partitions(ctx context.Context) (int, error)
	// Read follows the given partitions from the given positions, in order
	// within each, to the end positions if until names them, else for ever. Only
	// durable records are read. until's After(n) is inclusive of n; Latest is
	// resolved when the read begins. The sequence ends without error when all
	// are reached; with ctx's error when it is cancelled; with ErrTrimmed,
	// ErrAhead or ErrClosed. Records that damage made unreadable are missing
	// from the sequence numbers; that is no error of the read.
	Read(ctx context.Context, from, until Positions) iter.Seq2[Batch, error]
}

// A Log is one log with all its partitions.
type Log interface {
	Appender
	Reader
	io.Closer
}

// A Retainer is a log that removes old records by itself, but never past the
// durable position of a required consumer.
type Retainer interface {
	// Require registers consumer as required, or moves its durable position:
	// records of partition p with a sequence number over durable[p] stay. A
	// partition that durable does not name keeps everything.
	Require(consumer string, durable map[int]int64)
}

// Partition returns the partition of a device: FNV-1a of its id modulo n.
func Partition(deviceID string, n int) int {
	h := uint32(2166136261)
	for i := range len(deviceID) {
		h = (h ^ uint32(deviceID[i])) * 16777619
	}
	return int(h % uint32(n))
}

// AllFrom returns Positions with p for each of n partitions.
func AllFrom(n int, p Position) Positions {
	m := make(Positions, n)
	for i := range n {
		m[i] = p
	}
	return m
}
