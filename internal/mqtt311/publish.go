package mqtt311

import "encoding/binary"

// A Publish carries one message (section 3.3).
type Publish struct {
	Topic   string
	Payload []byte
	ID      uint16 // packet identifier, 0 where QoS is 0
	QoS     uint8
	Dup     bool
	Retain  bool
}

// ParsePublish reads the body of a PUBLISH with the flags of its header. The
// topic's bytes are body[2:2+len(Topic)]: who owns the body may decode them in
// place (Bag). Wildcards in the topic are not refused: property bags may hold a
// literal plus.
func ParsePublish(flags uint8, body []byte) (Publish, error) {
	p := Publish{QoS: flags >> 1 & 3, Dup: flags&8 != 0, Retain: flags&1 != 0}
	if p.QoS == 3 {
		return Publish{}, errQoS
	}
	r := reader{b: body}
	p.Topic = r.string()
	if p.QoS > 0 {
		p.ID = r.id()
	}
	if r.err != nil {
		return Publish{}, r.err
	}
	if p.Topic == "" {
		return Publish{}, errTopic
	}
	p.Payload = r.b[:len(r.b):len(r.b)]
	return p, nil
}

// AppendPublish appends a PUBLISH. Its topic is at most MaxString long.
func AppendPublish(b []byte, p *Publish) []byte {
	flags := p.QoS << 1
	if p.Dup {
		flags |= 8
	}
	if p.Retain {
		flags |= 1
	}
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	b = AppendHeader(b, Header{Type: PUBLISH, Flags: flags, Length: n})
	b = appendString(b, p.Topic)
	if p.QoS > 0 {
		b = binary.BigEndian.AppendUint16(b, p.ID)
	}
	return append(b, p.Payload...)
}
