package udf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/weir-iot/weir/saql"
)

// Between the processes go frames: the length as 4 bytes, little-endian, and
// what they hold.
//
//	setup   limits of memory, in bytes, and time, in ns, as varints, then name and source of each function
//	call    number of the function as varint, then the arguments
//	answer  0 and the result, or 1 and what is wrong
//
// Values are encoded as saql.AppendValue does, texts as length and bytes. Each
// frame to the child has an answer before the next.
const maxFrame = 16 << 20

var errFrame = errors.New("a message between the processes is damaged")

func writeFrame(w *bufio.Writer, frame []byte) error {
	if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(frame)))); err != nil {
		return err
	}
	if _, err := w.Write(frame); err != nil {
		return err
	}
	return w.Flush()
}

// readFrame reads a frame into buf, which it enlarges as the bytes arrive.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return buf, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxFrame {
		return buf, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func readText(b []byte) (s string, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, errFrame
	}
	b = b[size:]
	return string(b[:n]), b[n:], nil
}

func appendCall(b []byte, function int, args []saql.Value) []byte {
	b = binary.AppendUvarint(b, uint64(function))
	for _, a := range args {
		b = saql.AppendValue(b, a)
	}
	return b
}

func readCall(b []byte) (function int, args []saql.Value, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxFrame {
		return 0, nil, errFrame
	}
	for b = b[size:]; len(b) > 0; {
		var a saql.Value
		if a, b, err = saql.ReadValue(b); err != nil {
			return 0, nil, err
		}
		args = append(args, a)
	}
	return int(n), args, nil
}

func appendResult(b []byte, v saql.Value) []byte { return saql.AppendValue(append(b, 0), v) }

func appendFailure(b []byte, err error) []byte { return appendText(append(b, 1), err.Error()) }

// readAnswer returns the result, or as an error what is wrong.
func readAnswer(b []byte) (saql.Value, error) {
	if len(b) == 0 {
		return saql.Null, errFrame
	}
	if b[0] == 1 {
		text, _, err := readText(b[1:])
		if err != nil {
			return saql.Null, err
		}
		return saql.Null, errors.New(text)
	}
	v, rest, err := saql.ReadValue(b[1:])
	if err == nil && len(rest) > 0 {
		err = errFrame
	}
	return v, err
}
