package mqtt311

// A Type is a control packet type (section 2.2.1).
type Type uint8

const (
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
)

var typeNames = [16]string{
	"reserved 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "reserved 15",
}

func (t Type) String() string { return typeNames[t&15] }

// A Header is a fixed header (section 2.2).
type Header struct {
	Type   Type
	Flags  uint8 // the low four bits of the first byte
	Length int   // remaining length in bytes: what follows the header
}

const (
	// MaxHeader is the size in bytes of the largest fixed header.
	MaxHeader = 5
	// MaxLength is the largest remaining length in bytes.
	MaxLength = 1<<28 - 1
)

// ParseHeader reads the fixed header at the start of b and returns its size in
// bytes, 0 while b holds too little of it. The body is b[n:n+h.Length]; the
// caller decides by h.Length whether to wait for it. Reserved flags are
// refused here, so that parsers of bodies need not see them.
func ParseHeader(b []byte) (h Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h = Header{Type: Type(b[0] >> 4), Flags: b[0] & 15}
	switch h.Type {
	case PUBLISH:
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		if h.Flags != 2 {
			return h, 0, errFlags
		}
	case 0, 15:
		return h, 0, malformed("reserved packet type (section 2.2.1)")
	default:
		if h.Flags != 0 {
			return h, 0, errFlags
		}
	}
	for i := range 4 {
		if len(b) < i+2 {
			return h, 0, nil
		}
		c := b[i+1]
		h.Length |= int(c&0x7f) << (7 * i)
		if c < 0x80 {
			return h, i + 2, nil
		}
	}
	return h, 0, errLength
}

// AppendHeader appends h. Its Length is at most MaxLength: an invariant.
func AppendHeader(b []byte, h Header) []byte {
	if uint(h.Length) > MaxLength {
		panic("mqtt311: packet longer than MaxLength")
	}
	b = append(b, byte(h.Type)<<4|h.Flags)
	for n := h.Length; ; {
		c := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
