package device

// A window holds the messages that are not acknowledged, oldest first: a ring
// with three places in it. From head to sent they wait for the hub, from sent
// to tail for the writer. A new connection sets sent back to head.
type window struct {
	slots            []slot
	head, sent, tail uint64
	bytes, maxBytes  int
}

type slot struct {
	packet []byte // the encoded PUBLISH
	done   func(error)
	tried  bool // it left once: DUP the next time (MQTT 3.1.1, section 3.3.1.1)
	acked  bool // out of order: the slot waits for those before it
}

// keptPacket is the capacity in bytes up to which a slot keeps its buffer.
const keptPacket = 4 << 10

// packetIDs is how many packet identifiers messages use, from 1; those above
// are for subscriptions.
const packetIDs = 65000

func newWindow(size, maxBytes int) window {
	return window{slots: make([]slot, size), maxBytes: maxBytes}
}

func (w *window) at(seq uint64) *slot { return &w.slots[seq%uint64(len(w.slots))] }
func (w *window) empty() bool         { return w.head == w.tail }
func (w *window) quiet() bool         { return w.head == w.sent } // nothing waits for the hub

// room reports whether a message of about n bytes may enter.
func (w *window) room(n int) bool {
	return w.tail-w.head < uint64(len(w.slots)) && (w.bytes+n <= w.maxBytes || w.empty())
}

func packetID(seq uint64) uint16 { return uint16(seq%packetIDs) + 1 }

// push enters a message; encode appends its packet to a buffer.
func (w *window) push(done func(error), encode func(b []byte, id uint16) []byte) {
	s := w.at(w.tail)
	*s = slot{packet: encode(s.packet[:0], packetID(w.tail)), done: done}
	w.bytes += len(s.packet)
	w.tail++
}

// fill appends packets that wait for the writer to b until it holds limit
// bytes; at least one. It returns how many of them leave again.
func (w *window) fill(b []byte, limit int) (_ []byte, resent int) {
	for w.sent < w.tail {
		s := w.at(w.sent)
		if len(b) > 0 && len(b)+len(s.packet) > limit {
			break
		}
		w.sent++
		if s.acked {
			continue
		}
		if s.tried {
			s.packet[0] |= 0x08
			resent++
		}
		s.tried = true
		b = append(b, s.packet...)
	}
	return b, resent
}

// rewind lets everything unacknowledged leave again, on a new connection.
func (w *window) rewind() { w.sent = w.head }

// ack frees the message of a packet identifier and returns its callback, nil
// for an identifier that does not wait.
func (w *window) ack(id uint16) func(error) {
	if id == 0 || id > packetIDs {
		return nil
	}
	ahead := (uint64(id-1) + packetIDs - w.head%packetIDs) % packetIDs
	if ahead >= w.sent-w.head {
		return nil
	}
	s := w.at(w.head + ahead)
	if s.acked {
		return nil
	}
	done := s.done
	s.acked = true
	s.done = nil
	for w.head < w.sent && w.at(w.head).acked {
		w.release(w.at(w.head))
		w.head++
	}
	return done
}

func (w *window) release(s *slot) {
	w.bytes -= len(s.packet)
	if cap(s.packet) > keptPacket {
		s.packet = nil
	}
	s.packet = s.packet[:0]
}

// clear empties the window and returns the callbacks that never ran.
func (w *window) clear() []func(error) {
	var left []func(error)
	for ; w.head < w.tail; w.head++ {
		if s := w.at(w.head); !s.acked {
			left = append(left, s.done)
		}
		*w.at(w.head) = slot{}
	}
	w.sent, w.bytes = w.tail, 0
	return left
}
