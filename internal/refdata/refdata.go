// Package refdata keeps the reference data of a file for queries to join: CSV
// or JSON, read again when the file changes. It promises that a version is seen
// whole or not at all, that a file which cannot be read leaves the last version
// in place, and that nothing waits for the disk but Load and Refresh.
package refdata

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/internal/recordfile"
	"github.com/weir-iot/weir/saql"
)

// MaxBytes bounds a file.
const MaxBytes = 256 << 20

// A Table is the content of one file. It is safe for concurrent use; Refresh is
// for one goroutine.
type Table struct {
	path, format string
	rows         atomic.Pointer[[]*saql.Record]
	size         int64 // of the version that was read last, or failed to be
	changed      time.Time
}

// Load reads a file. The format is recordfile.JSON or CSV; "": as its name ends.
func Load(path, format string) (*Table, error) {
	if format == "" {
		format = recordfile.FormatOf(path)
	}
	t := &Table{path: path, format: format}
	if _, err := t.Refresh(); err != nil {
		return nil, err
	}
	return t, nil
}

// At returns the rows. They are those of the newest version at any time.
func (t *Table) At(saql.Ticks) []*saql.Record { return *t.rows.Load() }

// Refresh reads the file if it changed since, and tells whether it did. After an
// error the rows are as they were; the same version is not tried again.
func (t *Table) Refresh() (changed bool, err error) {
	f, err := os.Open(t.path)
	if err != nil {
		return false, fmt.Errorf("reading reference data: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return false, fmt.Errorf("reading reference data: %w", err)
	case t.rows.Load() != nil && info.Size() == t.size && info.ModTime().Equal(t.changed):
		return false, nil
	case info.Size() > MaxBytes:
		return false, fmt.Errorf("reference data %s: %d bytes, at most %d are taken", t.path, info.Size(), MaxBytes)
	}
	t.size, t.changed = info.Size(), info.ModTime()
	rows, err := read(f, t.format)
	if err != nil {
		return false, fmt.Errorf("reference data %s: %w", t.path, err)
	}
	t.rows.Store(&rows)
	return true, nil
}

func read(r io.Reader, format string) ([]*saql.Record, error) {
	decoder := saql.NewDecoder([]saql.DecodeColumn{nil})
	values := make([]saql.Value, 1)
	rows := []*saql.Record{}
	for record, err := range recordfile.Read(r, format) {
		if err != nil {
			return nil, err
		}
		if err := decoder.Decode(record, values); err != nil {
			return nil, fmt.Errorf("record %d: %w", len(rows)+1, err)
		}
		rows = append(rows, values[0].Clone().Record())
	}
	return rows, nil
}
