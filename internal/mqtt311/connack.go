package mqtt311

// A Connack answers a Connect (section 3.2).
type Connack struct {
	SessionPresent bool
	Code           ConnectCode
}

// A ConnectCode is the return code of a CONNACK (table 3.1).
type ConnectCode uint8

const (
	Accepted           ConnectCode = 0
	RefusedProtocol    ConnectCode = 1 // unacceptable protocol level
	RefusedClientID    ConnectCode = 2 // identifier rejected
	RefusedUnavailable ConnectCode = 3 // server unavailable
	RefusedCredentials ConnectCode = 4 // malformed user name or password
	RefusedAuthorized  ConnectCode = 5 // not authorized
)

var connectCodes = [...]string{
	"accepted", "unacceptable protocol level", "identifier rejected",
	"server unavailable", "bad user name or password", "not authorized",
}

func (c ConnectCode) String() string {
	if int(c) < len(connectCodes) {
		return connectCodes[c]
	}
	return "reserved"
}

// ParseConnack reads the body of a CONNACK.
func ParseConnack(body []byte) (Connack, error) {
	r := reader{b: body}
	flags, code := r.byte(), ConnectCode(r.byte())
	if err := r.end(); err != nil {
		return Connack{}, err
	}
	if flags > 1 {
		return Connack{}, malformed("reserved connect acknowledge flags (section 3.2.2.1)")
	}
	return Connack{SessionPresent: flags == 1, Code: code}, nil
}

// AppendConnack appends a CONNACK.
func AppendConnack(b []byte, p Connack) []byte {
	var flags byte
	if p.SessionPresent {
		flags = 1
	}
	return append(b, byte(CONNACK)<<4, 2, flags, byte(p.Code))
}
