package mqtt311

// ParsePuback reads the body of a PUBACK and returns the packet identifier
// that it acknowledges (section 3.4).
func ParsePuback(body []byte) (id uint16, err error) {
	return parseID(body)
}

// AppendPuback appends a PUBACK of id.
func AppendPuback(b []byte, id uint16) []byte {
	return append(b, byte(PUBACK)<<4, 2, byte(id>>8), byte(id))
}

// parseID reads a body that is a packet identifier and nothing else.
func parseID(body []byte) (uint16, error) {
	r := reader{b: body}
	id := r.id()
	return id, r.end()
}
