package mqtt311

import "encoding/binary"

// A Connect is the first packet of a client (section 3.1).
type Connect struct {
	ClientID     string
	CleanSession bool
	KeepAlive    uint16 // seconds; 0: off
	Will         Will
	HasWill      bool
	Username     string
	HasUsername  bool
	Password     []byte
	HasPassword  bool
}

// A Will is published for a client that leaves without DISCONNECT (section 3.1.2.5).
type Will struct {
	Topic   string
	Payload []byte
	QoS     uint8
	Retain  bool
}

const (
	protocolName  = "MQTT"
	protocolLevel = 4

	flagClean    = 0x02
	flagWill     = 0x04
	flagRetain   = 0x20
	flagPassword = 0x40
	flagUsername = 0x80
)

// ParseConnect reads the body of a CONNECT. ErrProtocol where it speaks
// another protocol or level.
func ParseConnect(body []byte) (Connect, error) {
	r := reader{b: body}
	name, level := r.string(), r.byte()
	if r.err != nil {
		return Connect{}, r.err
	}
	if name != protocolName || level != protocolLevel {
		return Connect{}, ErrProtocol
	}
	flags := r.byte()
	p := Connect{
		CleanSession: flags&flagClean != 0,
		HasWill:      flags&flagWill != 0,
		HasUsername:  flags&flagUsername != 0,
		HasPassword:  flags&flagPassword != 0,
		KeepAlive:    r.uint16(),
	}
	if err := checkConnectFlags(flags); err != nil {
		return Connect{}, err
	}
	p.ClientID = r.string()
	if p.HasWill {
		p.Will = Will{Topic: r.string(), Payload: r.binary(), QoS: flags >> 3 & 3, Retain: flags&flagRetain != 0}
		if r.err == nil && p.Will.Topic == "" {
			return Connect{}, errTopic
		}
	}
	if p.HasUsername {
		p.Username = r.string()
	}
	if p.HasPassword {
		p.Password = r.binary()
	}
	return p, r.end()
}

// checkConnectFlags refuses the combinations of sections 3.1.2.3 to 3.1.2.9.
func checkConnectFlags(flags byte) error {
	switch {
	case flags&1 != 0:
		return malformed("reserved connect flag (section 3.1.2.3)")
	case flags&flagWill == 0 && flags&(flagRetain|3<<3) != 0:
		return malformed("will QoS or retain without a will (section 3.1.2.6)")
	case flags>>3&3 == 3:
		return errQoS
	case flags&flagPassword != 0 && flags&flagUsername == 0:
		return malformed("password without user name (section 3.1.2.9)")
	}
	return nil
}

// AppendConnect appends a CONNECT.
func AppendConnect(b []byte, p *Connect) []byte {
	var flags byte
	n := 2 + len(protocolName) + 1 + 1 + 2 + 2 + len(p.ClientID)
	if p.CleanSession {
		flags |= flagClean
	}
	if p.HasWill {
		flags |= flagWill | p.Will.QoS<<3
		if p.Will.Retain {
			flags |= flagRetain
		}
		n += 2 + len(p.Will.Topic) + 2 + len(p.Will.Payload)
	}
	if p.HasUsername {
		flags |= flagUsername
		n += 2 + len(p.Username)
	}
	if p.HasPassword {
		flags |= flagPassword
		n += 2 + len(p.Password)
	}
	b = AppendHeader(b, Header{Type: CONNECT, Length: n})
	b = appendString(b, protocolName)
	b = append(b, protocolLevel, flags)
	b = binary.BigEndian.AppendUint16(b, p.KeepAlive)
	b = appendString(b, p.ClientID)
	if p.HasWill {
		b = appendString(b, p.Will.Topic)
		b = appendString(b, p.Will.Payload)
	}
	if p.HasUsername {
		b = appendString(b, p.Username)
	}
	if p.HasPassword {
		b = appendString(b, p.Password)
	}
	return b
}
