package stream

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-iot/weir/telemetry"
)

// Causes of dead letters, beside those of a verdict.
const (
	causeBody  = "body"  // not JSON, not CSV, too large, nested too deep
	causeTable = "table" // a value that is not what CREATE TABLE declares
	causeTime  = "time"  // no time of its own, or none that can be computed
	causeRow   = "row"   // the query failed on it
	causeWrite = "write" // the output refused it
)

// A DeadLetter is an event or a row that a job could not use, and why.
type DeadLetter struct {
	Cause     string    `json:"cause"` // one word, for counters
	Reason    string    `json:"reason"`
	Input     string    `json:"input,omitempty"`
	Output    string    `json:"output,omitempty"` // of a row that it refused
	DeviceID  string    `json:"deviceId,omitempty"`
	Partition int       `json:"partition"`
	Seq       int64     `json:"seq"`
	Index     int       `json:"index"`
	Enqueued  time.Time `json:"enqueuedAt,omitzero"`
	At        string    `json:"at,omitempty"` // where in the query: line:column
	// Body is base64 of the first bytes; the log has all. Of a message of which
	// several elements are dead letters, the first has it.
	Body []byte `json:"body,omitempty"`
}

// maxDeadBody is how much of a body a dead letter keeps.
const maxDeadBody = 16 << 10

func newDeadLetter(cause, reason string, m *telemetry.Message) *DeadLetter {
	return &DeadLetter{
		Cause: cause, Reason: reason, DeviceID: strings.Clone(m.DeviceID),
		Partition: m.Partition, Seq: m.Seq, Enqueued: m.EnqueuedAt.UTC(),
		Body: slices.Clone(m.Body[:min(len(m.Body), maxDeadBody)]),
	}
}

// deadRow tells of a row that the query failed on.
func deadRow(e *RowError) *DeadLetter {
	return &DeadLetter{
		Cause: causeRow, Reason: e.Reason, At: fmt.Sprintf("%d:%d", e.At.Line, e.At.Column),
		Partition: e.Key.Partition, Seq: e.Key.Seq, Index: e.Key.Index,
	}
}
