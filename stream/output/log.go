package output

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/telemetry"
)

// Log appends rows to a log that other jobs can read. The sender of a row is
// what the column key names, so that rows of one key keep their order; its
// message id is the RowID. After a restart the log is read for what it has
// behind the last mark that was saved: each row is there once.
type Log struct {
	log     eventlog.Log
	marks   *marks
	now     func() time.Time
	readers sync.Pool
}

var _ stream.Output = (*Log)(nil)

// NewLog returns the output; key "" is deviceId. The bucket keeps marks.
func NewLog(log eventlog.Log, key string, b blob.Bucket) *Log {
	if key == "" {
		key = "deviceId"
	}
	return &Log{log: log, marks: newMarks(b), now: time.Now, readers: sync.Pool{New: func() any { return newColumns(key, "id") }}}
}

// skew is how far the log's clock may be behind ours.
const skew = time.Minute

// Mark implements stream.Output.
func (l *Log) Mark(ctx context.Context, s stream.Shard) (stream.Ordinal, error) {
	at, found, err := l.marks.load(ctx, s)
	if err != nil {
		return stream.None, err
	}
	since := eventlog.Oldest()
	if found {
		since = eventlog.At(time.Unix(0, at.Place).Add(-skew))
	}
	n, err := l.log.Partitions(ctx)
	if err != nil {
		return stream.None, err
	}
	prefix := s.RowID(0)
	prefix = prefix[:len(prefix)-1]
	for b, err := range l.log.Read(ctx, eventlog.AllFrom(n, since), eventlog.AllFrom(n, eventlog.Latest())) {
		if err != nil {
			return stream.None, err
		}
		for i := range b.Messages {
			var o stream.Ordinal
			if rest, ok := strings.CutPrefix(b.Messages[i].MessageID, prefix); ok {
				if _, err := fmt.Sscanf(rest, "%d", &o); err == nil {
					at.Ordinal = max(at.Ordinal, o)
				}
			}
		}
	}
	l.marks.set(s, mark{at.Ordinal, l.now().UnixNano()})
	return at.Ordinal, nil
}

// Write implements stream.Output.
func (l *Log) Write(ctx context.Context, s stream.Shard, rows []stream.OutputRow) error {
	c := l.readers.Get().(*columns)
	defer l.readers.Put(c)
	msgs := make([]telemetry.Message, len(rows))
	for i, row := range rows {
		device, _ := c.texts(row.Data)
		if !usableDevice(device) {
			device = "$job-" + s.Job
		}
		msgs[i] = telemetry.Message{
			DeviceID: device, MessageID: s.RowID(row.Ordinal), ContentType: "application/json", Encoding: "utf-8",
			System: telemetry.Properties{{Key: telemetry.CreationTime, Value: row.Time.Time().Format(time.RFC3339Nano)}}, Body: row.Data,
		}
	}
	done := make(chan error, 1)
	l.log.Append(msgs, func(err error) { done <- err })
	var err error
	select {
	case err = <-done:
	case <-ctx.Done(): // of a full disk, which may last; nobody changes the rows any more
		return ctx.Err()
	}
	if errors.Is(err, eventlog.ErrTooLarge) {
		return fmt.Errorf("%w: %w", stream.ErrRefused, err)
	}
	if err == nil {
		l.marks.set(s, mark{rows[len(rows)-1].Ordinal, l.now().UnixNano()})
	}
	return err
}

// Flush implements stream.Output: what was appended is durable already.
func (l *Log) Flush(ctx context.Context) error { return l.marks.save(ctx) }
