package udf

import (
	"bufio"
	"bytes"
	"errors"
	"testing"

	"github.com/weir-iot/weir/saql"
)

func TestFrames(t *testing.T) {
	var pipe bytes.Buffer
	w := bufio.NewWriter(&pipe)
	large := bytes.Repeat([]byte("x"), 100_000)
	for _, frame := range [][]byte{nil, []byte("abc"), large, []byte("d")} {
		if err := writeFrame(w, frame); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(&pipe)
	var buf []byte
	for _, want := range [][]byte{nil, []byte("abc"), large, []byte("d")} {
		var err error
		if buf, err = readFrame(r, buf); err != nil || !bytes.Equal(buf, want) {
			t.Errorf("got %d bytes, %v, want %d", len(buf), err, len(want))
		}
	}
	if _, err := readFrame(bufio.NewReader(bytes.NewReader([]byte{255, 255, 255, 255})), nil); !errors.Is(err, errFrame) {
		t.Errorf("a frame of 4 GiB: %v", err)
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(appendCall(nil, 300, []saql.Value{saql.Bigint(1), saql.String("s")}))
	f.Add(appendResult(nil, saql.ArrayValue([]saql.Value{saql.Null})))
	f.Add(appendFailure(nil, errFrame))
	f.Fuzz(func(t *testing.T, b []byte) {
		if function, args, err := readCall(b); err == nil {
			f2, args2, err := readCall(appendCall(nil, function, args))
			if err != nil || f2 != function || len(args2) != len(args) {
				t.Errorf("%x: %d with %d arguments became %d with %d, %v", b, function, len(args), f2, len(args2), err)
			}
		}
		_, _ = readAnswer(b)
	})
}
