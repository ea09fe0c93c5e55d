package stream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

// A rowMaker makes the rows of one input of messages: one of a JSON object, one
// of each element of a JSON array, one of each line of CSV. It belongs to one
// goroutine.
type rowMaker struct {
	plan    InputPlan
	body    body
	payload *payload
	sources []columnSource // by the values of a row
	offline bool           // messages are made of records in files, see Replay
	row     saql.Row
	stream  []byte
	scratch []saql.Value              // of the payload
	lines   map[byte]*saql.CSVDecoder // by delimiter
	first   *DeadLetter               // of the current message
}

// A columnSource is where a value of a row comes from: a place among what the
// payload's decoder gives (-1: none), or metadata.
type columnSource struct {
	payload  int
	metadata metadatum
}

// newRowMaker makes rows as the plan wants them. Offline, what an implicit
// column is called may be a field of the payload, which then counts; so do the
// records IoTHub and EventHub, which Azure's samples of events have.
func newRowMaker(plan InputPlan, o IngestOptions, offline bool) *rowMaker {
	r := &rowMaker{plan: plan, offline: offline, lines: make(map[byte]*saql.CSVDecoder)}
	var paths []saql.DecodeColumn
	for _, c := range plan.Columns {
		s := columnSource{payload: -1}
		if c.Metadata != nil {
			s.metadata = metadataAt(c.Metadata)
		}
		path := c.Path
		if sampled := len(c.Metadata) > 1 && (strings.EqualFold(c.Metadata[0], "IoTHub") || strings.EqualFold(c.Metadata[0], "EventHub")); sampled && path == nil {
			path = c.Metadata
		}
		if c.Metadata == nil || path != nil && offline {
			s.payload = len(paths)
			paths = append(paths, path)
		}
		r.sources = append(r.sources, s)
	}
	r.payload = newPayload(paths, plan.Table, o)
	r.scratch = make([]saql.Value, r.payload.width())
	return r
}

// add appends the rows of m, and what of it are dead letters.
func (r *rowMaker) add(events []event, b *block, m *telemetry.Message) []event {
	r.first = nil
	text, t, err := r.body.decode(m)
	if err != nil {
		return append(events, r.dead(b, m, 0, causeBody, err))
	}
	text = b.arena.keep(text)
	if t.csv {
		return r.csv(events, b, m, text, t.delimiter)
	}
	first := len(events)
	r.payload.decoder.Use(&b.json)
	err = r.payload.decoder.Rows(text, r.scratch, func(index int, err error) error {
		switch {
		case index == MaxRows:
			return fmt.Errorf("%w: over %d", errRows, MaxRows)
		case err != nil:
			events = append(events, r.dead(b, m, index, causeBody, err))
		default:
			events = append(events, r.made(b, m, index))
		}
		return nil
	})
	if err != nil {
		r.first = nil
		return append(events[:first], r.dead(b, m, 0, causeBody, err))
	}
	return events
}

// made makes the row of what is in scratch.
func (r *rowMaker) made(b *block, m *telemetry.Message, index int) event {
	if err := r.payload.check(r.scratch); err != nil {
		return r.dead(b, m, index, causeTable, err)
	}
	n := len(b.values)
	for _, s := range r.sources {
		v := saql.Null
		if s.payload >= 0 {
			v = r.scratch[s.payload]
		}
		if s.metadata != nil && v.IsNull() {
			v = s.metadata(&b.arena, m, index)
		}
		b.values = append(b.values, v)
	}
	return event{seq: m.Seq, index: index, values: b.values[n:len(b.values):len(b.values)], block: b}
}

func (r *rowMaker) dead(b *block, m *telemetry.Message, index int, cause string, err error) event {
	return event{seq: m.Seq, index: index, block: b, dead: r.letter(m, index, cause, err.Error())}
}

// letter makes a dead letter of the current message. A message may have as many
// as it has elements: they do not keep the body each.
func (r *rowMaker) letter(m *telemetry.Message, index int, cause, reason string) *DeadLetter {
	if r.first == nil {
		r.first = newDeadLetter(cause, reason, m)
		r.first.Index = index
		return r.first
	}
	d := *r.first
	d.Cause, d.Reason, d.Index, d.Body = cause, reason, index, nil
	return &d
}

var errNoTime = errors.New("TIMESTAMP BY gives NULL: the event has no such time")

// time returns the event's own time, and the key of its substream.
func (r *rowMaker) time(e *event, m *telemetry.Message) (at saql.Ticks, stream []byte, err error) {
	r.row = saql.Row{Key: saql.Key{Partition: m.Partition, Seq: e.seq, Index: e.index}, Values: e.values}
	v, err := r.plan.Timestamp(&r.row)
	if err != nil {
		return 0, nil, fmt.Errorf("TIMESTAMP BY: %w", err)
	}
	if v.Kind() != saql.KindDatetime {
		return 0, nil, errNoTime
	}
	r.stream = r.stream[:0]
	for _, key := range r.plan.Over {
		k, err := key(&r.row)
		if err != nil {
			return 0, nil, fmt.Errorf("TIMESTAMP BY … OVER: %w", err)
		}
		r.stream = saql.AppendKey(r.stream, k)
	}
	return v.Datetime(), r.stream, nil
}
