package mqtt311

import "encoding/binary"

// A Suback answers a Subscribe (section 3.9): per subscription the granted
// QoS, or SubscribeFailed.
type Suback struct {
	ID    uint16
	Codes []byte
}

// SubscribeFailed refuses one subscription.
const SubscribeFailed = 0x80

// ParseSuback reads the body of a SUBACK.
func ParseSuback(body []byte) (Suback, error) {
	r := reader{b: body}
	p := Suback{ID: r.id()}
	if r.err != nil {
		return Suback{}, r.err
	}
	p.Codes = r.b
	if len(p.Codes) == 0 {
		return Suback{}, errEmpty
	}
	for _, c := range p.Codes {
		if c > 2 && c != SubscribeFailed {
			return Suback{}, malformed("reserved return code (section 3.9.3)")
		}
	}
	return p, nil
}

// AppendSuback appends a SUBACK.
func AppendSuback(b []byte, p Suback) []byte {
	b = AppendHeader(b, Header{Type: SUBACK, Length: 2 + len(p.Codes)})
	b = binary.BigEndian.AppendUint16(b, p.ID)
	return append(b, p.Codes...)
}
