package device

import (
	"fmt"
	"io"

	"github.com/weir-iot/weir/internal/mqtt311"
)

const (
	// maxPacket bounds what a hub may send: a twin has two parts of 32 KB, a
	// method's payload 128 KB, and metadata comes on top.
	maxPacket = 1 << 20
	// readBuffer is the buffer in bytes of a connection that has little to read.
	readBuffer = 2 << 10
)

// frames cuts a stream into packets.
type frames struct {
	r          io.Reader
	buf        []byte
	start, end int
}

func newFrames(r io.Reader) frames { return frames{r: r, buf: make([]byte, readBuffer)} }

// next returns the next packet; its body is valid until the call after.
func (f *frames) next() (mqtt311.Header, []byte, error) {
	for {
		h, size, ok, err := f.parse()
		if err != nil {
			return h, nil, err
		}
		if ok {
			body := f.buf[f.start+size : f.start+size+h.Length]
			f.start += size + h.Length
			return h, body, nil
		}
		if err := f.read(size + h.Length); err != nil {
			return h, nil, err
		}
	}
}

// pending reports whether a whole packet is there already.
func (f *frames) pending() bool {
	_, _, ok, err := f.parse()
	return ok || err != nil
}

func (f *frames) parse() (h mqtt311.Header, size int, ok bool, err error) {
	h, size, err = mqtt311.ParseHeader(f.buf[f.start:f.end])
	if err != nil {
		return h, 0, false, fmt.Errorf("device: reading from the hub: %w", err)
	}
	if size == 0 {
		return mqtt311.Header{}, 0, false, nil
	}
	if h.Length > maxPacket {
		return h, 0, false, fmt.Errorf("device: reading from the hub: a packet of %d bytes, more than %d", h.Length, maxPacket)
	}
	return h, size, f.end-f.start >= size+h.Length, nil
}

// read makes room for a packet of need bytes, where that is known, and reads once.
func (f *frames) read(need int) error {
	if f.start == f.end {
		f.start, f.end = 0, 0
		if len(f.buf) > readBuffer && need <= readBuffer {
			f.buf = make([]byte, readBuffer)
		}
	}
	if f.start > 0 && (f.start+need > len(f.buf) || f.end == len(f.buf)) {
		f.end = copy(f.buf, f.buf[f.start:f.end])
		f.start = 0
	}
	if need > len(f.buf) {
		grown := make([]byte, need)
		f.end = copy(grown, f.buf[f.start:f.end])
		f.start, f.buf = 0, grown
	}
	n, err := f.r.Read(f.buf[f.end:])
	f.end += n
	if n > 0 {
		return nil
	}
	return err
}
