package udf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/weir-iot/weir/saql"
)

// Main is the child process: it answers the calls from in on out until in ends,
// or out. What goes wrong with the process itself it says on standard error.
func Main(in io.Reader, out io.Writer) error {
	const stack = 64 << 20 // of native code that calls itself, as JSON.stringify of what is deeply nested
	debug.SetMaxStack(stack)
	// Who started us stops what takes too long. This is in case that it is gone.
	alarm := time.AfterFunc(2*loading, func() { os.Exit(1) })
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	frame, err := readFrame(r, nil)
	if err != nil {
		return ended(err)
	}
	scripts, limit, answer := setup(frame)
	for {
		alarm.Stop()
		if err := writeFrame(w, answer); err != nil {
			return err
		}
		if frame, err = readFrame(r, frame); err != nil {
			return ended(err)
		}
		alarm.Reset(limit + loading)
		answer = serve(scripts, frame, answer[:0])
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// setup applies the limits and loads the scripts.
func setup(frame []byte) (scripts []*script, limit time.Duration, answer []byte) {
	fail := func(err error) ([]*script, time.Duration, []byte) { return nil, 0, appendFailure(nil, err) }
	memory, n := binary.Uvarint(frame)
	if n <= 0 {
		return fail(errFrame)
	}
	nanoseconds, m := binary.Uvarint(frame[n:])
	if m <= 0 {
		return fail(errFrame)
	}
	debug.SetMemoryLimit(int64(memory))
	if err := limitMemory(memory); err != nil {
		return fail(fmt.Errorf("limiting the memory: %w", err))
	}
	for rest := frame[n+m:]; len(rest) > 0; {
		var name, source string
		var err error
		if name, rest, err = readText(rest); err != nil {
			return fail(err)
		}
		if source, rest, err = readText(rest); err != nil {
			return fail(err)
		}
		s, err := load(name, source)
		if err != nil {
			return fail(fmt.Errorf("udf.%s: %w", name, err))
		}
		scripts = append(scripts, s)
	}
	return scripts, time.Duration(nanoseconds), appendResult(nil, saql.Null)
}

// serve appends the answer to a call.
func serve(scripts []*script, frame, answer []byte) []byte {
	i, args, err := readCall(frame)
	if err == nil && i >= len(scripts) {
		err = errFrame
	}
	if err != nil {
		return appendFailure(answer, err)
	}
	v, err := scripts[i].call(args)
	if err != nil {
		return appendFailure(answer, err)
	}
	answer = appendResult(answer, v)
	if len(answer) > maxFrame {
		return appendFailure(answer[:0], fmt.Errorf("the result is larger than %d bytes", maxFrame))
	}
	return answer
}
