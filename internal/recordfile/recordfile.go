// Package recordfile reads files of records, as people keep events and reference
// data: JSON (one array, or objects one after another) and CSV (the first line
// names the columns, all values are text), packed by gzip or not. It promises bounded memory, and
// errors that name the line. It leaves out what the records mean.
package recordfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"
	"unicode/utf16"
)

// The formats of a file.
const (
	JSON = "json"
	CSV  = "csv"
)

// MaxRecord bounds the bytes of one record.
const MaxRecord = 4 << 20

// FormatOf returns the format that a file's name says, JSON where it says none.
func FormatOf(name string) string {
	if strings.HasSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".csv") {
		return CSV
	}
	return JSON
}

// Read gives each record as one JSON value. It is valid until the next.
func Read(r io.Reader, format string) iter.Seq2[json.RawMessage, error] {
	if format == CSV {
		return readCSV(Text(r))
	}
	return readJSON(Text(r))
}

// Text unpacks what is gzip, drops a byte order mark, and turns UTF-16 into
// UTF-8: PowerShell writes both.
func Text(r io.Reader) *bufio.Reader {
	b := bufio.NewReader(r)
	head, _ := b.Peek(3) // a shorter file has no mark
	if bytes.HasPrefix(head, []byte{0x1F, 0x8B}) {
		b = bufio.NewReader(&packed{r: b})
		head, _ = b.Peek(3)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0xEF, 0xBB, 0xBF}):
		_, _ = b.Discard(3) // it was peeked
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}):
		return bufio.NewReader(&wide{r: b, order: binary.LittleEndian})
	case bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return bufio.NewReader(&wide{r: b, order: binary.BigEndian})
	}
	return b
}

// packed reads gzip; what is wrong with its head is an error of the first read.
type packed struct {
	r   io.Reader
	in  *gzip.Reader
	err error
}

func (p *packed) Read(b []byte) (int, error) {
	if p.in == nil && p.err == nil {
		p.in, p.err = gzip.NewReader(p.r)
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.in.Read(b)
}

// wide reads UTF-16 as UTF-8.
type wide struct {
	r     io.Reader
	order binary.ByteOrder
	ready []byte
	high  uint16 // the first half of a pair, or 0
}

func (w *wide) Read(p []byte) (int, error) {
	for len(w.ready) == 0 {
		var raw [4096]byte
		n, err := io.ReadFull(w.r, raw[:])
		if n == 0 || (err != nil && !errors.Is(err, io.ErrUnexpectedEOF)) {
			return 0, err
		}
		units := make([]uint16, 0, n/2+1)
		if w.high != 0 {
			units, w.high = append(units, w.high), 0
		}
		for i := 0; i+1 < n; i += 2 {
			units = append(units, w.order.Uint16(raw[i:]))
		}
		if last := len(units) - 1; last >= 0 && n == len(raw) && units[last] >= 0xD800 && units[last] < 0xDC00 {
			w.high, units = units[last], units[:last]
		}
		w.ready = bytes.TrimPrefix([]byte(string(utf16.Decode(units))), []byte("\uFEFF"))
	}
	n := copy(p, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}
