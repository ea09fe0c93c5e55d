package recordfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// delimiters are those that a file may have; the one that its first line has
// most of counts.
var delimiters = []byte(",;\t|")

// readCSV gives an object per line. A line with fewer values than the first
// lacks the last columns; one with more is an error.
func readCSV(r *bufio.Reader) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		c := csv.NewReader(r)
		c.Comma, c.FieldsPerRecord, c.ReuseRecord = delimiter(r), -1, true
		names, err := head(c)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				yield(nil, err)
			}
			return
		}
		var b []byte
		for {
			values, err := c.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err) // it names the line
				return
			}
			if line, _ := c.FieldPos(0); len(values) > len(names) {
				yield(nil, fmt.Errorf("line %d: %d values under %d names", line, len(values), len(names)))
				return
			}
			b = append(b[:0], '{')
			for i, v := range values {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(append(append(b, names[i]...), ':'), quote(v)...)
			}
			if !yield(append(b, '}'), nil) {
				return
			}
		}
	}
}

// head reads the names of the columns, as JSON strings.
func head(c *csv.Reader) ([][]byte, error) {
	first, err := c.Read()
	if err != nil {
		return nil, err
	}
	names := make([][]byte, len(first))
	for i, name := range first {
		names[i] = quote(name)
	}
	return names, nil
}

func quote(s string) []byte {
	b, _ := json.Marshal(s) // a string cannot fail
	return b
}

// delimiter looks at the first line without taking it.
func delimiter(r *bufio.Reader) rune {
	line, _ := r.Peek(4096) // what there is
	line, _, _ = bytes.Cut(line, []byte{'\n'})
	best, most := ',', 0
	for _, d := range delimiters {
		if n := bytes.Count(line, []byte{d}); n > most {
			best, most = rune(d), n
		}
	}
	return best
}
