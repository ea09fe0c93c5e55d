package stream

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/weir-iot/weir/internal/jsonscan"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/telemetry"
)

const (
	// MaxRows bounds the rows of one message; an array with more elements is
	// kept as a dead letter. A message of 256 KB, IoT Hub's limit, has room for
	// as many of 8 bytes.
	MaxRows = 32768
	// maxDeviceID bounds a device id in a payload: IoT Hub's limit.
	maxDeviceID = 128
	// maxInterned bounds the table of device ids that are known by heart.
	maxInterned = 1 << 16
)

// deviceField names the field of a payload that names its device (design 4.3).
const deviceField = "deviceId"

var errRows = errors.New("stream: an array with too many elements")

var errForeign = errors.New("stream: another device's id in the payload")

var utf8BOM = []byte("\xef\xbb\xbf")

// A batch is documents and marks on the way to the store. It owns all memory
// that it points to, so that the log may go on.
type batch struct {
	docs     []store.Document
	ids      []byte  // the IDs of docs one after the other, until seal
	idEnds   []int   // where each ends
	data     []byte  // what the documents' Data point into
	last     []int64 // by partition: the last message, -1 for none
	through  []time.Time
	messages int
}

func newBatch(partitions int) *batch {
	b := &batch{last: make([]int64, partitions), through: make([]time.Time, partitions)}
	b.reset()
	return b
}

func (b *batch) reset() {
	clear(b.docs)
	clear(b.through)
	b.docs, b.ids, b.idEnds, b.data, b.messages = b.docs[:0], b.ids[:0], b.idEnds[:0], b.data[:0], 0
	for p := range b.last {
		b.last[p] = -1
	}
}

// size is what the limit of a batch counts, in bytes: the data, and for each
// document about what it takes beside that.
func (b *batch) size() int { return len(b.data) + 64*len(b.docs) + 8*b.messages }

// seal gives the documents their IDs, all of them in one string.
func (b *batch) seal() {
	all, from := string(b.ids), 0
	for i, to := range b.idEnds {
		b.docs[i].ID = all[from:to]
		from = to
	}
}

func (b *batch) marks(consumer string) (marks []store.Mark) {
	for p, seq := range b.last {
		if seq >= 0 {
			marks = append(marks, store.Mark{Consumer: consumer, Shard: p, Ordinal: seq})
		}
	}
	return marks
}

// add appends the document whose ID was appended to ids.
func (b *batch) add(d store.Document) {
	b.docs = append(b.docs, d)
	b.idEnds = append(b.idEnds, len(b.ids))
}

// keep copies data into the batch.
func (b *batch) keep(data []byte) []byte {
	n := len(b.data)
	b.data = append(b.data, data...)
	return b.data[n:len(b.data):len(b.data)]
}

// A rower makes documents of messages (design 4.3): the value of a JSON body is
// one, each element of an array is one. It belongs to one goroutine.
type rower struct {
	ttl    time.Duration
	speaks func(sender, deviceID string) bool
	m      *hotMetrics
	poison func(store.Document, error) store.Document
	odd    func(text string, m *telemetry.Message, cause error) // logs once per cause

	interned map[string]string
	rows     []jsonscan.Row
}

// intern returns s as a string that shares no memory with the log.
func (r *rower) intern(s string) string {
	if own, ok := r.interned[s]; ok {
		return own
	}
	if r.interned == nil || len(r.interned) >= maxInterned {
		r.interned = make(map[string]string)
	}
	own := string([]byte(s))
	r.interned[own] = own
	return own
}

// add puts the documents of m in b, and m's place in b's marks.
func (r *rower) add(b *batch, m *telemetry.Message) {
	b.last[m.Partition] = m.Seq
	b.messages++
	if m.Source != telemetry.Telemetry {
		r.m.skipped.Inc()
		return
	}
	doc := store.Document{DeviceID: r.intern(m.DeviceID), Time: m.EnqueuedAt, Expires: m.EnqueuedAt.Add(r.ttl)}
	rows, err := jsonscan.Rows(bytes.TrimPrefix(m.Body, utf8BOM), deviceField, r.rows[:0])
	r.rows = rows
	switch {
	case err != nil:
		r.m.undecoded(err).Inc()
		r.odd("a body is not JSON; it is kept in base64 (logged once)", m, err)
		r.wrap(b, m, doc)
	case len(rows) > MaxRows:
		r.m.deadLetters.Inc()
		doc.Data = m.Body
		doc.ID = string(appendGenerated(nil, m, 0))
		dead := r.poison(doc, fmt.Errorf("%w: %d, at most %d", errRows, len(rows), MaxRows))
		b.ids = append(b.ids, dead.ID...)
		b.add(dead)
	default:
		for i := range rows {
			r.row(b, m, doc, i)
		}
	}
}

// row adds one row as a document.
func (r *rower) row(b *batch, m *telemetry.Message, doc store.Document, i int) {
	row := r.rows[i]
	if string(row.Field) != m.DeviceID && len(row.Field) > 0 {
		if own := r.intern(string(row.Field)); r.allowed(doc.DeviceID, own) {
			doc.DeviceID = own
		} else {
			r.m.foreign.Inc()
			r.odd("a payload names a device for which its sender may not speak; it is kept under the sender (logged once)", m, errForeign)
		}
	}
	doc.Data = b.keep(row.Data)
	doc.Generated = !usable(m.MessageID)
	if doc.Generated {
		b.ids = appendGenerated(b.ids, m, i)
	} else {
		b.ids = appendChosen(b.ids, m, doc.DeviceID, i, len(r.rows))
	}
	b.add(doc)
}

func (r *rower) allowed(sender, device string) bool {
	ok := len(device) <= maxDeviceID && device != DeadLetterDevice && utf8.ValidString(device) && !bytes.ContainsRune([]byte(device), 0)
	return ok && r.speaks != nil && r.speaks(sender, device)
}

// wrap adds a body that is not JSON as {"$body": "base64"}: the API shows it,
// and nothing of it is lost.
func (r *rower) wrap(b *batch, m *telemetry.Message, doc store.Document) {
	n := len(b.data)
	b.data = append(b.data, `{"$body":"`...)
	b.data = base64.StdEncoding.AppendEncode(b.data, m.Body)
	b.data = append(b.data, `"}`...)
	doc.Data = b.data[n:len(b.data):len(b.data)]
	if doc.Generated = !usable(m.MessageID); doc.Generated {
		b.ids = appendGenerated(b.ids, m, 0)
	} else {
		b.ids = appendChosen(b.ids, m, doc.DeviceID, 0, 1)
	}
	b.add(doc)
}

// IDs begin with '~' only where they are made: "~0003-00000000002a-00001" is
// element 1 of record 42 of partition 3, all in hexadecimal and as wide as it
// takes to order them as the log does. In an ID that the sender chose '~' is
// doubled, so that the two cannot meet.

const hexDigits = "0123456789abcdef"

func appendHex(b []byte, v uint64, width int) []byte {
	for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v>>shift&15])
	}
	return b
}

func appendGenerated(b []byte, m *telemetry.Message, index int) []byte {
	b = appendHex(append(b, '~'), uint64(m.Partition), 4)
	b = appendHex(append(b, '-'), uint64(m.Seq), 12)
	return appendHex(append(b, '-'), uint64(index), 5)
}

// usable reports whether a message id can be a document's.
func usable(messageID string) bool {
	const room = 3 * (maxDeviceID + 8) // for sender and index
	return messageID != "" && len(messageID) <= (store.MaxID-room)/4
}

// appendChosen makes the document's ID of the message id. It is unique within
// the device: an element of an array has its index behind "~i", and what a
// gateway sends for another device its own id in front of "~d".
func appendChosen(b []byte, m *telemetry.Message, device string, index, of int) []byte {
	if device != m.DeviceID {
		b = append(appendEscaped(b, m.DeviceID), "~d"...)
	}
	b = appendEscaped(b, m.MessageID)
	if of > 1 {
		b = fmt.Appendf(b, "~i%d", index)
	}
	return b
}

// appendEscaped doubles '~' and writes what no ID may have, NUL and broken
// UTF-8, as "~x" and two hexadecimal digits.
func appendEscaped(b []byte, s string) []byte {
	plain := 0
	for plain < len(s) && s[plain] > 0 && s[plain] < '~' {
		plain++
	}
	b = append(b, s[:plain]...)
	for i := plain; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == '~':
			b = append(b, "~~"...)
		case c == 0 || c == utf8.RuneError && n == 1:
			b = appendHex(append(b, "~x"...), uint64(s[i]), 2)
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return b
}

// cause is the label of a body that is not taken as JSON.
func cause(err error) string {
	switch {
	case errors.Is(err, jsonscan.ErrUTF8):
		return "utf8"
	case errors.Is(err, jsonscan.ErrDepth):
		return "depth"
	default:
		return "syntax"
	}
}

var causes = slices.Values([]string{"syntax", "utf8", "depth"})
