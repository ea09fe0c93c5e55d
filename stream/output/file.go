package output

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/weir-iot/weir/stream"
)

// File appends rows to a file, one line of JSON each. Beside it is a file of
// marks, with the size that they are true of: what is behind that is cut off at
// the next start, so that each row is in the file once. What the file had when
// it was first used stays.
type File struct {
	path string

	mu    sync.Mutex
	file  *os.File
	size  int64
	marks map[string]stream.Ordinal // by shard
	err   error                     // after which the file is not what we think
}

var _ stream.Output = (*File)(nil)

// fileMarks is the file of marks.
type fileMarks struct {
	Size  int64                     `json:"size"` // of the rows' file, in bytes
	Marks map[string]stream.Ordinal `json:"marks"`
}

func marksPath(path string) string { return path + ".marks" }

// OpenFile opens the output; folders are made.
func OpenFile(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("output: opening a file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("output: opening a file: %w", err)
	}
	o := &File{path: path, file: f, marks: make(map[string]stream.Ordinal)}
	if err := o.recover(); err != nil {
		f.Close()
		return nil, fmt.Errorf("output: opening %s: %w", path, err)
	}
	return o, nil
}

// recover brings the file to where the marks are true.
func (f *File) recover() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	data, err := os.ReadFile(marksPath(f.path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.save() // what is there is not ours
	case err != nil:
		return err
	}
	var m fileMarks
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("reading %s: %w: remove both files to begin anew", marksPath(f.path), err)
	}
	if m.Marks != nil {
		f.marks = m.Marks
	}
	if m.Size < f.size {
		f.size = m.Size
		return f.file.Truncate(m.Size)
	}
	return nil // shorter: somebody took rows away, which is theirs to do
}

// Mark implements stream.Output.
func (f *File) Mark(_ context.Context, s stream.Shard) (stream.Ordinal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.marks[s.RowID(0)]; ok {
		return o, nil
	}
	return stream.None, nil
}

// Write implements stream.Output.
func (f *File) Write(_ context.Context, s stream.Shard, rows []stream.OutputRow) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	w := bufio.NewWriterSize(&writerAt{f.file, f.size}, 64<<10)
	var n int64
	for _, row := range rows {
		w.Write(row.Data) // Flush tells
		w.WriteByte('\n')
		n += int64(len(row.Data)) + 1
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("output: writing %s: %w", f.path, err) // the next try writes over it
	}
	f.size += n
	f.marks[s.RowID(0)] = rows[len(rows)-1].Ordinal
	return nil
}

type writerAt struct {
	file *os.File
	at   int64
}

func (w *writerAt) Write(b []byte) (int, error) {
	n, err := w.file.WriteAt(b, w.at)
	w.at += int64(n)
	return n, err
}

// Flush implements stream.Output. After a failed sync nothing more is written: a
// second try may claim success for lost pages.
func (f *File) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if err := f.file.Sync(); err != nil {
		f.err = fmt.Errorf("output: syncing %s: %w: restart after a look at the disk", f.path, err)
		return f.err
	}
	return f.save()
}

// save replaces the file of marks.
func (f *File) save() error {
	data, err := json.Marshal(fileMarks{f.size, f.marks})
	if err != nil {
		return err
	}
	temp := marksPath(f.path) + ".tmp"
	t, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = t.Write(data)
	if err == nil {
		err = t.Sync()
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, marksPath(f.path)); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(f.path))
}

// Close closes the file; what was not flushed is written again by the next run.
func (f *File) Close() error { return f.file.Close() }
