package output

import (
	"context"
	"fmt"
	"sync"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/stream"
)

// A Commander sends cloud-to-device messages. It wraps stream.ErrRefused around
// what another try does not help: no such device, a body that is too large.
type Commander interface {
	SendToDevice(ctx context.Context, device, messageID string, body []byte) error
}

// Command sends each row to the device that a column names, at least once, with
// the RowID as message id.
type Command struct {
	to      Commander
	marks   *marks
	column  string
	readers sync.Pool
}

var _ stream.Output = (*Command)(nil)

// NewCommand returns the output; column "" is deviceId. The bucket keeps marks.
func NewCommand(to Commander, column string, b blob.Bucket) *Command {
	if column == "" {
		column = "deviceId"
	}
	return &Command{to: to, marks: newMarks(b), column: column, readers: sync.Pool{New: func() any { return newColumns(column, "id") }}}
}

// Mark implements stream.Output.
func (c *Command) Mark(ctx context.Context, s stream.Shard) (stream.Ordinal, error) {
	at, _, err := c.marks.load(ctx, s)
	return at.Ordinal, err
}

// Write implements stream.Output. Each command that went out is marked at once:
// to send one twice may open a valve twice.
func (c *Command) Write(ctx context.Context, s stream.Shard, rows []stream.OutputRow) error {
	at, _, err := c.marks.load(ctx, s)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Ordinal <= at.Ordinal {
			continue // sent by a try that failed at a later row
		}
		if err := c.send(ctx, s, row); err != nil {
			return err
		}
		at.Ordinal = row.Ordinal
		c.marks.set(s, at)
		if err := c.marks.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *Command) send(ctx context.Context, s stream.Shard, row stream.OutputRow) error {
	r := c.readers.Get().(*columns)
	device, _ := r.texts(row.Data)
	c.readers.Put(r)
	if !usableDevice(device) {
		return fmt.Errorf("%w: its column %s names no device", stream.ErrRefused, c.column)
	}
	return c.to.SendToDevice(ctx, device, s.RowID(row.Ordinal), row.Data)
}

// Flush implements stream.Output.
func (c *Command) Flush(ctx context.Context) error { return c.marks.save(ctx) }
