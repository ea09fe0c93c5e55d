package mqtt

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// An input reads a connection into pooled chunks and cuts packets out of them.
// While it waits for the first byte of a packet it holds no buffer.
type input struct {
	nc   net.Conn
	raw  syscall.RawConn    // of a plain TCP connection, else nil
	poll func(uintptr) bool // readReady, bound once
	cur  *chunk             // nil while idle
	r, w int                // cur.b[r:w] is received and not taken
	hint int                // class of the next chunk
	err  error              // of readReady

	first [1]byte
}

func newInput(nc net.Conn) input {
	in := input{nc: nc}
	if tcp, ok := nc.(*net.TCPConn); ok && canPoll {
		in.raw, _ = tcp.SyscallConn()
	}
	return in
}

// fill waits for bytes and takes as many as one read gives. There is room:
// rest sees to that.
func (in *input) fill() error {
	before := in.w
	var err error
	if in.raw != nil {
		err = in.fillRaw()
	} else {
		err = in.fillConn()
	}
	if err != nil {
		return err
	}
	switch n, size := in.w-before, len(in.cur.b); {
	case in.w == size:
		in.hint = min(in.hint+1, roomiest)
	case n < size/8:
		in.hint = max(in.hint-1, 0)
	}
	return nil
}

// fillRaw waits for readability without a buffer.
func (in *input) fillRaw() error {
	if in.poll == nil {
		in.poll = in.readReady
	}
	in.err = nil
	if err := in.raw.Read(in.poll); err != nil {
		return err
	}
	return in.err
}

// fillConn reads one byte first, which every packet outlives: when it is there,
// the rest of its packet is there or on its way.
func (in *input) fillConn() error {
	if in.cur == nil {
		if _, err := io.ReadFull(in.nc, in.first[:]); err != nil {
			return err
		}
		in.take()
		in.cur.b[0] = in.first[0]
		in.w = 1
	}
	n, err := in.nc.Read(in.cur.b[in.w:])
	in.w += n
	if n > 0 {
		return nil // a lasting error comes back with the next read
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

func (in *input) take() {
	in.cur = newChunk(in.hint)
	in.r, in.w = 0, 0
}

// next returns the next whole packet; ok is false while it is incomplete. The
// body lives as long as in.cur is held. A packet of more than limit bytes is
// refused as soon as its header is there.
func (in *input) next(limit int) (h mqtt311.Header, body []byte, ok bool, err error) {
	if in.cur == nil {
		return h, nil, false, nil
	}
	b := in.cur.b[in.r:in.w]
	h, n, err := mqtt311.ParseHeader(b)
	if err != nil || n == 0 {
		return h, nil, false, err
	}
	if h.Length > limit {
		return h, nil, false, errOverLimit
	}
	end := n + h.Length
	if len(b) < end {
		return h, nil, false, nil
	}
	in.r += end
	return h, b[n:end:end], true, nil
}

var errOverLimit = errors.New("hub/mqtt: packet over the limit")

// rest keeps the bytes of an incomplete packet, makes room behind them, and
// lets go of everything else.
func (in *input) rest() {
	if in.cur == nil {
		return
	}
	left := in.cur.b[in.r:in.w]
	switch {
	case len(left) == 0:
		in.drop()
	case in.cur.shared() || len(left) == len(in.cur.b):
		k := newChunk(max(in.hint, classFor(len(left)+1)))
		in.w = copy(k.b, left)
		in.r = 0
		in.cur.release()
		in.cur = k
	default:
		in.w = copy(in.cur.b, left)
		in.r = 0
	}
}

func (in *input) drop() {
	if in.cur != nil {
		in.cur.release()
		in.cur = nil
		in.r, in.w = 0, 0
	}
}
