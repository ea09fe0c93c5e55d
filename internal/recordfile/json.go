package recordfile

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// readJSON gives the elements of arrays and the values between them.
func readJSON(r *bufio.Reader) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		s := &splitter{r: r, line: 1}
		for {
			value, err := s.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("line %d: %w", s.line, err))
				return
			}
			if !yield(value, nil) {
				return
			}
		}
	}
}

// A splitter cuts a text into JSON values without understanding them.
type splitter struct {
	r     *bufio.Reader
	line  int
	array bool // within an array of records
	first bool // and nothing of it was read yet
	value []byte
}

// next returns the next value, io.EOF behind the last.
func (s *splitter) next() (json.RawMessage, error) {
	c, err := s.token()
	if err != nil {
		return nil, err
	}
	for !s.array && c == '[' || s.array && c == ']' {
		s.array, s.first = !s.array, true
		if c, err = s.token(); err != nil {
			return nil, err
		}
	}
	if s.array && !s.first {
		if c != ',' {
			return nil, fmt.Errorf("found %q: want a comma between the records, or ] behind the last", c)
		}
		if c, err = s.token(); err != nil {
			return nil, err
		}
	}
	s.first = false
	begun := s.line
	err = s.take(c)
	if err == nil {
		err = syntax(s.value)
	}
	if err != nil {
		s.line = begun
	}
	return s.value, err
}

// token is the next byte that is no white space. The end of the text within an
// array is an error.
func (s *splitter) token() (byte, error) {
	for {
		c, err := s.byte()
		if err != nil {
			if errors.Is(err, io.EOF) && s.array {
				return 0, errors.New("the text ends within an array: want ]")
			}
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
}

func (s *splitter) byte() (byte, error) {
	c, err := s.r.ReadByte()
	if c == '\n' {
		s.line++
	}
	return c, err
}

// take reads the value that begins with c.
func (s *splitter) take(c byte) error {
	s.value = append(s.value[:0], c)
	if c != '{' && c != '[' && c != '"' {
		return s.scalar()
	}
	depth, quoted, escaped := 0, false, false
	for {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth == 0 && !quoted {
			return nil
		}
		var err error
		if c, err = s.byte(); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the text ends within a record")
			}
			return err
		}
		if s.value = append(s.value, c); len(s.value) > MaxRecord {
			return fmt.Errorf("a record of more than %d bytes", MaxRecord)
		}
	}
}

// scalar reads on to the end of a number or word.
func (s *splitter) scalar() error {
	for {
		next, err := s.r.Peek(1)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch next[0] {
		case ' ', '\t', '\r', '\n', ',', ']', '}', '{', '[', '"':
			return nil
		}
		if s.value = append(s.value, next[0]); len(s.value) > MaxRecord {
			return fmt.Errorf("a record of more than %d bytes", MaxRecord)
		}
		if _, err := s.r.ReadByte(); err != nil {
			return err
		}
	}
}

// syntax says what is wrong with a value, nil if nothing is.
func syntax(value []byte) error {
	if json.Valid(value) {
		return nil
	}
	var v any
	return fmt.Errorf("the record is not JSON: %w", json.Unmarshal(value, &v))
}
