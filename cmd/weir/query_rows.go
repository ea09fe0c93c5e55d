package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/weir-iot/weir/saql"
)

// maxBlock is how many rows for people are held back to align their columns.
const maxBlock = 500

// A rowPrinter prints rows of several outputs.
type rowPrinter struct {
	g      *globals
	line   []byte
	held   int
	blocks []*block // by output, in the order of their first rows
}

// A block is the rows of one output that are not printed yet.
type block struct {
	into  string
	names []string // of the columns
	rows  [][]string
	shown bool // the table's name was printed
}

// row prints a row, a JSON object: at once as JSON, later for people.
func (p *rowPrinter) row(into string, t saql.Ticks, row []byte) error {
	if p.g.json {
		name, _ := json.Marshal(into) // a string cannot fail
		p.line = append(append(p.line[:0], `{"into":`...), name...)
		p.line = saql.AppendJSON(append(p.line, `,"time":`...), saql.Datetime(t))
		p.line = append(append(append(p.line, `,"row":`...), row...), "}\n"...)
		_, err := p.g.stdout.Write(p.line)
		return err
	}
	b := p.block(into)
	cells, err := b.cells(row)
	if err != nil {
		return err
	}
	b.rows = append(b.rows, append([]string{t.Time().UTC().Format("2006-01-02 15:04:05.000")}, cells...))
	if p.held++; p.held == maxBlock {
		return p.flush()
	}
	return nil
}

func (p *rowPrinter) block(into string) *block {
	at := slices.IndexFunc(p.blocks, func(b *block) bool { return b.into == into })
	if at < 0 {
		at, p.blocks = len(p.blocks), append(p.blocks, &block{into: into})
	}
	return p.blocks[at]
}

// cells puts the values of a row under the names of the block, to which it adds
// those that are new.
func (b *block) cells(row []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(row))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("a row is not an object: %w", err)
	}
	cells := make([]string, len(b.names))
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("a row is not an object: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("a row is not an object: %w", err)
		}
		at := slices.Index(b.names, fmt.Sprint(name))
		if at < 0 {
			at, b.names = len(b.names), append(b.names, fmt.Sprint(name))
			cells = append(cells, "")
		}
		cells[at] = cell(value)
	}
	return cells, nil
}

// cell is a value for people: text without quotes, unless it could be taken for
// something else or move the cursor.
func cell(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil && s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.UTC().Format("2006-01-02 15:04:05.000")
		}
		return s
	}
	return string(value)
}

// flush prints what is held.
func (p *rowPrinter) flush() error {
	for _, b := range p.blocks {
		if len(b.rows) == 0 {
			continue
		}
		var text bytes.Buffer
		if len(p.blocks) > 1 || !b.shown {
			fmt.Fprintf(&text, "-- %s\n", b.into)
		}
		b.shown = true
		table(&text, append([][]string{append([]string{"time"}, b.names...)}, b.rows...))
		b.rows = nil
		if _, err := io.Copy(p.g.stdout, &text); err != nil {
			return err
		}
	}
	p.held = 0
	return nil
}
