package lake

import (
	"time"

	"github.com/weir-iot/weir/internal/jsonscan"
	"github.com/weir-iot/weir/telemetry"
)

// A Row is one row on its way into the table: an element of a body. Its place
// in the log (Partition, Seq, Index) is its key. The table borrows its bytes
// during the call that it is given to.
type Row struct {
	Sender     string // as the hub authenticated it
	MessageID  string // as the sender chose it, or ""
	Partition  int
	Seq        int64 // ascends within an application's rows, see Txn
	Index      int
	EnqueuedAt time.Time
	Body       []byte // a JSON object; anything else is kept whole
}

// Rows appends the rows of a message to rows: one for each element if its body
// is a JSON array, else one. A message has at least one row.
func Rows(m *telemetry.Message, rows []Row) []Row {
	row := Row{
		Sender: m.DeviceID, MessageID: m.MessageID, Partition: m.Partition, Seq: m.Seq,
		EnqueuedAt: m.EnqueuedAt, Body: m.Body,
	}
	if !isArray(m.Body) {
		return append(rows, row)
	}
	var few [16]jsonscan.Row
	elements, err := jsonscan.Rows(m.Body, "", few[:0])
	if err != nil || len(elements) == 0 {
		return append(rows, row)
	}
	for i := range elements {
		row.Index, row.Body = i, elements[i].Data
		rows = append(rows, row)
	}
	return rows
}

func isArray(body []byte) bool {
	for _, c := range body {
		switch c {
		case ' ', '\n', '\t', '\r':
		default:
			return c == '['
		}
	}
	return false
}
