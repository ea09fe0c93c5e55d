package mqtt311

import (
	"encoding/binary"
	"iter"
)

// A Subscribe asks for subscriptions (section 3.8).
type Subscribe struct {
	ID      uint16
	filters []byte // validated by ParseSubscribe
}

// A Subscription is one topic filter with the highest QoS that the client wants.
type Subscription struct {
	Filter string
	QoS    uint8
}

// ParseSubscribe reads the body of a SUBSCRIBE.
func ParseSubscribe(body []byte) (Subscribe, error) {
	r := reader{b: body}
	p := Subscribe{ID: r.id()}
	p.filters = r.b
	if r.err == nil && len(r.b) == 0 {
		return Subscribe{}, errEmpty
	}
	for len(r.b) > 0 {
		filter, qos := r.string(), r.byte()
		if r.err == nil && filter == "" {
			r.fail(errTopic)
		}
		if qos > 2 {
			r.fail(errQoS)
		}
	}
	if r.err != nil {
		return Subscribe{}, r.err
	}
	return p, nil
}

// Subscriptions yields the subscriptions in order.
func (p *Subscribe) Subscriptions() iter.Seq[Subscription] {
	return func(yield func(Subscription) bool) {
		r := reader{b: p.filters}
		for len(r.b) > 0 {
			if !yield(Subscription{Filter: r.string(), QoS: r.byte()}) {
				return
			}
		}
	}
}

// AppendSubscribe appends a SUBSCRIBE.
func AppendSubscribe(b []byte, id uint16, subs ...Subscription) []byte {
	n := 2
	for _, s := range subs {
		n += 2 + len(s.Filter) + 1
	}
	b = AppendHeader(b, Header{Type: SUBSCRIBE, Flags: 2, Length: n})
	b = binary.BigEndian.AppendUint16(b, id)
	for _, s := range subs {
		b = append(appendString(b, s.Filter), s.QoS)
	}
	return b
}
