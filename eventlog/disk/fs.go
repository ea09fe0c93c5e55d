package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// An FS is the little that the log needs of a file system. Tests put one with
// errors and power cuts in its place; the zero Options use the real one.
type FS interface {
	MkdirAll(dir string) error
	List(dir string) ([]string, error) // base names
	Create(name string) (File, error)  // for reading and writing; it must not exist
	Open(name string, write bool) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error // makes created, renamed and removed names durable
	Lock(name string) (io.Closer, error)
}

// A File is one segment.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Allocate extends the file to size zero bytes that are reserved: writing
	// into them later never finds the disk full.
	Allocate(size int64) error
	// Sync makes content and size durable (fdatasync).
	Sync() error
}

// makeFolder makes dir, and it and what was made above it durable. Nothing in
// it is, without.
func makeFolder(f FS, dir string) error {
	missing := []string{filepath.Clean(dir)} // or made just before a crash
	for up := filepath.Dir(missing[0]); ; up = filepath.Dir(up) {
		if _, err := f.List(up); !errors.Is(err, fs.ErrNotExist) || up == filepath.Dir(up) {
			break
		}
		missing = append(missing, up)
	}
	if err := f.MkdirAll(dir); err != nil {
		return err
	}
	for _, name := range missing {
		// Whoever may not read a folder did not make this one in it.
		if err := f.SyncDir(filepath.Dir(name)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

type osFS struct{}

func (osFS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Open(name string, write bool) (File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(name string) error     { return os.Remove(name) }

func (osFS) SyncDir(dir string) error {
	f, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// zeroFill is Allocate where the file system cannot reserve space by itself.
func (f osFile) zeroFill(size int64) error {
	from, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for from < size {
		n, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}
