package mqtt311

// ParseUnsuback reads the body of an UNSUBACK and returns the packet
// identifier that it acknowledges (section 3.11).
func ParseUnsuback(body []byte) (id uint16, err error) {
	return parseID(body)
}

// AppendUnsuback appends an UNSUBACK of id.
func AppendUnsuback(b []byte, id uint16) []byte {
	return append(b, byte(UNSUBACK)<<4, 2, byte(id>>8), byte(id))
}
