package mqtt311

// AppendDisconnect appends a DISCONNECT (section 3.14). Its body is empty: see CheckEmpty.
func AppendDisconnect(b []byte) []byte { return append(b, byte(DISCONNECT)<<4, 0) }
