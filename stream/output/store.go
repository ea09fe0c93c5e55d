// Package output has the places where jobs write their rows: the hot store,
// alerts, another log, a file, a webhook, commands to devices, and the dead
// letters of jobs.
//
// It promises what stream.Output says: rows and mark together in the store and
// in a file, at least once with a stable id elsewhere. It leaves out retries,
// which are the job's.
package output

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/stream"
)

// documents writes rows and marks to the hot store, each in one batch.
type documents struct {
	store store.Store
	// document makes the document of a row; it may point to the row's memory.
	document func(shard stream.Shard, row stream.OutputRow) store.Document
	written  func(shard stream.Shard, rows []stream.OutputRow, docs []store.Document) // nil: nobody wants to know
}

var _ stream.Output = (*documents)(nil)

// consumer names the marks of a shard's output.
func consumer(s stream.Shard) string {
	return fmt.Sprintf("job/%s/%s/%s", s.Job, s.Generation, s.Output)
}

// Mark implements stream.Output.
func (d *documents) Mark(ctx context.Context, s stream.Shard) (stream.Ordinal, error) {
	n, err := d.store.Mark(ctx, consumer(s), s.Shard)
	return stream.Ordinal(n), err
}

// Write implements stream.Output.
func (d *documents) Write(ctx context.Context, s stream.Shard, rows []stream.OutputRow) error {
	docs := make([]store.Document, len(rows))
	for i, row := range rows {
		docs[i] = d.document(s, row)
	}
	err := d.store.Upsert(ctx, docs, store.Mark{Consumer: consumer(s), Shard: s.Shard, Ordinal: int64(rows[len(rows)-1].Ordinal)})
	switch {
	case errors.Is(err, store.ErrInvalid), errors.Is(err, store.ErrTooLarge):
		return fmt.Errorf("%w: %w", stream.ErrRefused, err)
	case err == nil && d.written != nil:
		d.written(s, rows, docs)
	}
	return err
}

// Flush implements stream.Output.
func (d *documents) Flush(ctx context.Context) error { return d.store.Flush(ctx) }

// NewStore returns the output that keeps each row as a document of the hot
// store for ttl: under the device that its column deviceId names, with its
// column id as the document's id. A row without such a device is kept under
// "$job-" and the job's name, one without such an id under its RowID. A device
// that begins with "$" is none: no payload can make an alert or a dead letter.
func NewStore(st store.Store, ttl time.Duration) stream.Output {
	readers := sync.Pool{New: func() any { return newColumns("deviceId", "id") }}
	return &documents{store: st, document: func(s stream.Shard, row stream.OutputRow) store.Document {
		c := readers.Get().(*columns)
		defer readers.Put(c)
		device, id := c.texts(row.Data)
		at := row.Time.Time()
		doc := store.Document{ID: id, DeviceID: device, Time: at, Expires: at.Add(ttl), Data: row.Data}
		if !usableDevice(device) {
			doc.DeviceID = "$job-" + s.Job
		}
		if doc.Generated = !usableID(id); doc.Generated {
			doc.ID = "~" + s.RowID(row.Ordinal)
		}
		return doc
	}}
}

// maxDevice is IoT Hub's limit of a device id.
const maxDevice = 128

func usableDevice(id string) bool {
	return id != "" && len(id) <= maxDevice && id[0] != '$' && usableText(id)
}

func usableID(id string) bool {
	return id != "" && len(id) <= store.MaxID && id[0] != '~' && usableText(id)
}

func usableText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// columns reads two columns of rows, in any case.
type columns struct {
	decoder *saql.Decoder
	values  [2]saql.Value
}

func newColumns(first, second string) *columns {
	return &columns{decoder: saql.NewDecoder([]saql.DecodeColumn{{first}, {second}})}
}

// texts returns the two as texts, "" where there is no string or number.
func (c *columns) texts(row []byte) (first, second string) {
	if err := c.decoder.Decode(row, c.values[:]); err != nil {
		return "", "" // a job's rows are JSON; deeper than the decoder goes, perhaps
	}
	return columnText(c.values[0]), columnText(c.values[1])
}

func columnText(v saql.Value) string {
	switch v.Kind() {
	case saql.KindString:
		return strings.Clone(v.Str())
	case saql.KindBigint:
		return strconv.FormatInt(v.Bigint(), 10)
	default:
		return ""
	}
}

// deadSlots bounds the dead letters of a shard that are kept, the newer in
// place of the older; deadLife is how long.
const (
	deadSlots = 128
	deadLife  = 30 * 24 * time.Hour
)

// NewDeadLetters returns the output that keeps the dead letters of jobs in the
// hot store, under stream.DeadLetterDevice.
func NewDeadLetters(st store.Store) stream.Output {
	return &documents{store: st, document: func(s stream.Shard, row stream.OutputRow) store.Document {
		at := max(row.Time, saql.TicksOf(time.Unix(0, 0))).Time()
		return store.Document{
			ID:       fmt.Sprintf("%s:%s:%d:%03d", s.Job, s.Output, s.Shard, row.Ordinal%deadSlots),
			DeviceID: stream.DeadLetterDevice, Time: at, Expires: at.Add(deadLife), Data: row.Data,
		}
	}}
}

// AlertDevice is the device under which the hot store keeps alerts. No payload
// can name it; the hub must not register it.
const AlertDevice = "$alerts"

// An Alert is a row that a job wrote to an output of alerts.
type Alert struct {
	ID   string          `json:"id"`
	Job  string          `json:"job"`
	Into string          `json:"into"` // the output's alias
	Time time.Time       `json:"time"` // System.Timestamp() of the row
	Row  json.RawMessage `json:"row"`
}

// NewAlerts returns the output that keeps rows as alerts for ttl. added gets
// those that were just stored; it must not block. nil: nobody wants them.
func NewAlerts(st store.Store, ttl time.Duration, added func([]Alert)) stream.Output {
	d := &documents{store: st, document: func(s stream.Shard, row stream.OutputRow) store.Document {
		a := alertOf(s, row)
		data, _ := json.Marshal(a) // texts, a time and JSON cannot fail
		return store.Document{ID: "~" + a.ID, DeviceID: AlertDevice, Time: a.Time, Expires: a.Time.Add(ttl), Data: data, Generated: true}
	}}
	if added != nil {
		d.written = func(s stream.Shard, rows []stream.OutputRow, _ []store.Document) {
			alerts := make([]Alert, len(rows))
			for i, row := range rows {
				alerts[i] = alertOf(s, row)
				alerts[i].Row = append(json.RawMessage(nil), row.Data...)
			}
			added(alerts)
		}
	}
	return d
}

func alertOf(s stream.Shard, row stream.OutputRow) Alert {
	return Alert{ID: s.RowID(row.Ordinal), Job: s.Job, Into: s.Output, Time: row.Time.Time(), Row: row.Data}
}

// DecodeAlert returns the alert that a document of AlertDevice keeps.
func DecodeAlert(d store.Document) (a Alert, err error) {
	if err = json.Unmarshal(d.Data, &a); err != nil {
		err = fmt.Errorf("output: reading alert %s: %w", d.ID, err)
	}
	return a, err
}

// Alerts returns the newest alerts of since or later, newest first, at most
// limit (0: no limit).
func Alerts(ctx context.Context, st store.Store, since time.Time, limit int) (all []Alert, err error) {
	for d, err := range st.Read(ctx, store.Range{DeviceID: AlertDevice, From: since, Limit: limit}) {
		if err != nil {
			return nil, err
		}
		a, err := DecodeAlert(d)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
