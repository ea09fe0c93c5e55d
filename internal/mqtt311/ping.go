package mqtt311

// CheckEmpty refuses a body of a packet that has none: PINGREQ, PINGRESP,
// DISCONNECT (sections 3.12 to 3.14).
func CheckEmpty(body []byte) error {
	if len(body) > 0 {
		return errTrailing
	}
	return nil
}

// AppendPingreq appends a PINGREQ.
func AppendPingreq(b []byte) []byte { return append(b, byte(PINGREQ)<<4, 0) }

// AppendPingresp appends a PINGRESP.
func AppendPingresp(b []byte) []byte { return append(b, byte(PINGRESP)<<4, 0) }
