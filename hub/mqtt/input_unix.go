//go:build unix

package mqtt

import (
	"io"
	"syscall"
)

const canPoll = true

// readReady reads if there is something to read; false waits for more, without
// a buffer unless part of a packet is in it.
func (in *input) readReady(fd uintptr) bool {
	if in.cur == nil {
		in.take()
	}
	for {
		n, err := syscall.Read(int(fd), in.cur.b[in.w:])
		switch {
		case n > 0:
			in.w += n
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			if in.w == 0 {
				in.drop()
			}
			return false
		case err == nil:
			err = io.EOF
		}
		in.err = err
		return true
	}
}
