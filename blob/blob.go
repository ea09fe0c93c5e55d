// Package blob is the object store under checkpoints: named objects that are
// written whole, and replaced by compare-and-swap. It is the contract that
// every engine keeps; an engine passes the suite blob/blobtest.
//
// It promises that a reader sees an object as one write left it, that what was
// written is durable when the call returns, and that of two swaps from the same
// version one fails. It leaves out appending, metadata and rights.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
)

var (
	// ErrNotExist says that there is no object of that name.
	ErrNotExist = fmt.Errorf("blob: no such object: %w", fs.ErrNotExist)
	// ErrChanged refuses a Swap: the object is not, or no longer, of that version.
	ErrChanged = errors.New("blob: the object was changed by somebody else")
	// ErrName refuses a name that not every engine can keep, see CheckName.
	ErrName = errors.New("blob: invalid name")
)

// A Version names what an object holds. Equal versions of one name mean equal
// bytes; an object that was changed and changed back may have its old version.
type Version string

// Absent is the version of an object that is not there.
const Absent Version = ""

// An Object is open for reading. It stays as it was when it was opened, also
// when it is replaced or deleted meanwhile; engines that cannot keep a large one
// fail to read it then, with ErrChanged or ErrNotExist.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64 // bytes
	Version() Version
}

// A Bucket keeps objects. All methods are safe for concurrent use. What a write
// returned nil for is durable and seen by every later call; with an error it
// may or may not have happened, but never by half. A name that is a folder of
// another's, as "a" is of "a/b", is an error of engines that have folders.
type Bucket interface {
	// Open opens an object for reading, or fails with ErrNotExist.
	Open(ctx context.Context, name string) (Object, error)
	// Put writes an object, in place of the one that may be there.
	Put(ctx context.Context, name string, r io.Reader) error
	// Swap writes an object if it is of version old, else it fails with
	// ErrChanged; old is Absent to create it.
	Swap(ctx context.Context, name string, old Version, r io.Reader) (Version, error)
	// List yields the names that begin with prefix, ordered by their bytes.
	// Objects that come or go meanwhile may be missed.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
}

const (
	maxName    = 1024
	maxElement = 200 // bytes; file systems have 255, and engines add to it
)

// CheckName returns ErrName unless name is one or more elements between single
// slashes, each at most 200 bytes of letters, digits and "-_.=+,@~ %", and none
// beginning with a point.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: %d bytes, want 1 to %d", ErrName, len(name), maxName)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || element[0] == '.' || len(element) > maxElement {
			return fmt.Errorf("%w %q: its elements have 1 to %d bytes and do not begin with a point", ErrName, name, maxElement)
		}
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return !nameRune(r) }); i >= 0 {
		return fmt.Errorf("%w %q: character at byte %d: letters, digits and -_.=+,@~ %% are allowed", ErrName, name, i)
	}
	return nil
}

func nameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/-_.=+,@~ %", r)
}

// Read returns what an object holds, and its version.
func Read(ctx context.Context, b Bucket, name string) ([]byte, Version, error) {
	o, err := b.Open(ctx, name)
	if err != nil {
		return nil, Absent, err
	}
	defer o.Close()
	data := make([]byte, o.Size())
	if _, err := o.ReadAt(data, 0); err != nil && !(errors.Is(err, io.EOF) && len(data) == 0) {
		return nil, Absent, fmt.Errorf("blob: reading %s: %w", name, err)
	}
	return data, o.Version(), nil
}
