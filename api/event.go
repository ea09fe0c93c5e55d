package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weir-iot/weir/telemetry"
)

// A place is how far a tail has read, as the id of its events tells it:
// partition-seq pairs joined by dots, then @ and when the tail began in
// milliseconds since 1970, which is where the partitions that are not named go on.
type place struct {
	after map[int]int64
	since int64 // 0: not known
}

// parsePlace reads "0-17.3-20@1767225600000"; the part from @ on may be absent.
func parsePlace(id string) (place, error) {
	bad := errors.New("not an event id of this API: want partition-seq, several joined by dots")
	p := place{after: map[int]int64{}}
	if id == "" {
		return p, nil
	}
	pairs, since, timed := strings.Cut(id, "@")
	if timed {
		n, err := strconv.ParseInt(since, 10, 64)
		if err != nil || n < 0 || n > 1<<43 {
			return p, bad
		}
		p.since = n
	}
	if pairs == "" && timed {
		return p, nil
	}
	for pair := range strings.SplitSeq(pairs, ".") {
		left, right, ok := strings.Cut(pair, "-")
		partition, perr := strconv.ParseUint(left, 10, 16)
		seq, serr := strconv.ParseUint(right, 10, 63)
		if !ok || perr != nil || serr != nil {
			return p, bad
		}
		p.after[int(partition)] = int64(seq)
	}
	return p, nil
}

func (p place) append(b []byte) []byte {
	for i, partition := range slices.Sorted(maps.Keys(p.after)) {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(partition), 10)
		b = append(b, '-')
		b = strconv.AppendInt(b, p.after[partition], 10)
	}
	if p.since > 0 {
		b = append(b, '@')
		b = strconv.AppendInt(b, p.since, 10)
	}
	return b
}

// events encodes what a tail shows as server-sent events (WHATWG HTML, section
// 9.2). Ids stand in blocks of their own, one for every take: such a block
// moves the client's last event id and dispatches nothing.
type events struct {
	place   place
	buf     bytes.Buffer
	pending int // events that no id follows yet
}

// full tells that it is time to take.
func (e *events) full() bool { return e.pending >= idEvery || e.buf.Len() >= chunk }

// take returns what was encoded since the last take, nil if nothing was.
func (e *events) take() []byte {
	if e.buf.Len() == 0 {
		return nil
	}
	e.buf.WriteString("id: ")
	e.buf.Write(e.place.append(e.buf.AvailableBuffer()))
	e.buf.WriteString("\n\n")
	b := bytes.Clone(e.buf.Bytes())
	e.buf.Reset()
	e.pending = 0
	return b
}

// message adds a message; count is how many of its device it stands for, 0: one.
func (e *events) message(m *telemetry.Message, count int) {
	e.pending++
	e.buf.WriteString("event: message\ndata: ")
	appendMessage(&e.buf, m, count)
	e.buf.WriteString("\n\n")
}

// event adds an event with a value that encoding/json cannot fail on.
func (e *events) event(name string, v any) {
	e.pending++
	data, _ := json.Marshal(v)
	e.buf.WriteString("event: " + name + "\ndata: ")
	e.buf.Write(data)
	e.buf.WriteString("\n\n")
}

// gap says that a tail could not go on where it was, and where it does instead.
type gap struct {
	Partition int   `json:"partition"`
	Next      int64 `json:"next"` // the first sequence number that follows
}

// rate counts what passed a condensed tail's filter in one interval.
type rate struct {
	Millis   int64 `json:"millis"`   // length of the interval
	Messages int   `json:"messages"` // all that arrived since the tail began
	Bytes    int64 `json:"bytes"`    // of their bodies
	Devices  int   `json:"devices"`  // those shown
	Hidden   int   `json:"hidden"`   // messages of devices beyond maxNews, counted but not shown
}

// news gathers one interval of a condensed tail: memory is bounded by maxNews messages.
type news struct {
	rate
	began  time.Time // of the tail: what came before is shown, but not counted
	newest map[string]*newest
	batch  int
}

type newest struct {
	m     telemetry.Message
	count int
	batch int // in which m was taken
}

// add takes the messages of one batch, newest first, so that each device's
// newest is copied once.
func (n *news) add(msgs []telemetry.Message, shows func(*telemetry.Message) bool) {
	n.batch++
	for i := len(msgs) - 1; i >= 0; i-- {
		m := &msgs[i]
		if !shows(m) {
			continue
		}
		if !m.EnqueuedAt.Before(n.began) {
			n.Messages++
			n.Bytes += int64(len(m.Body))
		}
		d := n.newest[m.DeviceID]
		if d == nil {
			if len(n.newest) == maxNews {
				n.Hidden++
				continue
			}
			d = &newest{}
			c := m.Clone()
			n.newest[c.DeviceID] = d
			d.m, d.batch = c, n.batch
		} else if d.batch != n.batch {
			d.m, d.batch = m.Clone(), n.batch
		}
		d.count++
	}
}

// flush encodes the interval and begins the next.
func (n *news) flush(e *events, every time.Duration) {
	for _, id := range slices.Sorted(maps.Keys(n.newest)) {
		d := n.newest[id]
		e.message(&d.m, d.count)
	}
	n.Millis, n.Devices = every.Milliseconds(), len(n.newest)
	e.event("rate", n.rate)
	*n = news{began: n.began, newest: n.newest, batch: n.batch}
	clear(n.newest)
}

// appendMessage writes m as one line of JSON. The body is "body" where it is
// JSON, else "text" where it is UTF-8, else "base64".
func appendMessage(b *bytes.Buffer, m *telemetry.Message, count int) {
	b.WriteString(`{"deviceId":`)
	appendString(b, m.DeviceID)
	for _, f := range [...]struct{ name, value string }{
		{"moduleId", m.ModuleID}, {"messageId", m.MessageID}, {"contentType", m.ContentType}, {"encoding", m.Encoding}} {
		if f.value != "" {
			b.WriteString(`,"` + f.name + `":`)
			appendString(b, f.value)
		}
	}
	b.WriteString(`,"source":`)
	appendString(b, m.Source.String())
	b.WriteString(`,"partition":`)
	b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(m.Partition), 10))
	b.WriteString(`,"seq":`)
	b.Write(strconv.AppendInt(b.AvailableBuffer(), m.Seq, 10))
	b.WriteString(`,"enqueuedAt":"`)
	b.Write(m.EnqueuedAt.UTC().AppendFormat(b.AvailableBuffer(), "2006-01-02T15:04:05.000Z07:00"))
	b.WriteByte('"')
	if count > 0 {
		b.WriteString(`,"count":`)
		b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(count), 10))
	}
	appendProperties(b, "system", m.System)
	appendProperties(b, "properties", m.Properties)
	appendBody(b, m.Body)
	b.WriteByte('}')
}

func appendBody(b *bytes.Buffer, body []byte) {
	if len(body) == 0 {
		return
	}
	start := b.Len()
	b.WriteString(`,"body":`)
	if json.Compact(b, body) == nil {
		return
	}
	b.Truncate(start)
	if utf8.Valid(body) {
		b.WriteString(`,"text":`)
		appendString(b, string(body))
		return
	}
	b.WriteString(`,"base64":"`)
	b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), body))
	b.WriteByte('"')
}

// appendProperties writes an object; of a name that comes twice the first counts, as in Properties.Get.
func appendProperties(b *bytes.Buffer, name string, ps telemetry.Properties) {
	if len(ps) == 0 {
		return
	}
	b.WriteString(`,"` + name + `":`)
	open := byte('{')
	for i, p := range ps {
		if slices.ContainsFunc(ps[:i], func(q telemetry.Property) bool { return q.Key == p.Key }) {
			continue
		}
		b.WriteByte(open)
		open = ','
		appendString(b, p.Key)
		b.WriteByte(':')
		if p.Null {
			b.WriteString("null")
		} else {
			appendString(b, p.Value)
		}
	}
	b.WriteByte('}')
}

// appendString writes a JSON string; invalid UTF-8 becomes U+FFFD.
func appendString(b *bytes.Buffer, s string) {
	quoted, _ := json.Marshal(s) // a string cannot fail
	b.Write(quoted)
}
