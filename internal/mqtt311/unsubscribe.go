package mqtt311

import (
	"encoding/binary"
	"iter"
)

// An Unsubscribe ends subscriptions (section 3.10).
type Unsubscribe struct {
	ID      uint16
	filters []byte // validated by ParseUnsubscribe
}

// ParseUnsubscribe reads the body of an UNSUBSCRIBE.
func ParseUnsubscribe(body []byte) (Unsubscribe, error) {
	r := reader{b: body}
	p := Unsubscribe{ID: r.id()}
	p.filters = r.b
	if r.err == nil && len(r.b) == 0 {
		return Unsubscribe{}, errEmpty
	}
	for len(r.b) > 0 {
		if r.string() == "" {
			r.fail(errTopic)
		}
	}
	if r.err != nil {
		return Unsubscribe{}, r.err
	}
	return p, nil
}

// Filters yields the topic filters in order.
func (p *Unsubscribe) Filters() iter.Seq[string] {
	return func(yield func(string) bool) {
		r := reader{b: p.filters}
		for len(r.b) > 0 {
			if !yield(r.string()) {
				return
			}
		}
	}
}

// AppendUnsubscribe appends an UNSUBSCRIBE.
func AppendUnsubscribe(b []byte, id uint16, filters ...string) []byte {
	n := 2
	for _, f := range filters {
		n += 2 + len(f)
	}
	b = AppendHeader(b, Header{Type: UNSUBSCRIBE, Flags: 2, Length: n})
	b = binary.BigEndian.AppendUint16(b, id)
	for _, f := range filters {
		b = appendString(b, f)
	}
	return b
}
