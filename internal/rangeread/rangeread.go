// Package rangeread makes a blob.Object of an object store's ranged reads: few
// requests for a reader of Parquet, who reads the end, then pieces. It promises
// to read each block once while it is among the last few; it leaves out how a
// range is fetched.
package rangeread

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/weir-iot/weir/blob"
)

const (
	// Block is the size of a request, in bytes, and what the first one should ask
	// for: small objects need no other.
	Block  = 256 << 10
	blocks = 16 // that are kept
)

// An Object is open for reading. A fetch returns the bytes from off on, Block
// of them or up to the end; it fails if the object is of another version.
type Object struct {
	size    int64
	version blob.Version
	fetch   func(off, n int64) ([]byte, error)

	mu   sync.Mutex
	kept []block // the last used comes last
}

type block struct {
	index int64
	data  []byte
}

var _ blob.Object = (*Object)(nil)

// New returns an object of size bytes. It knows those of its first block
// already, if first is not nil.
func New(size int64, version blob.Version, first []byte, fetch func(off, n int64) ([]byte, error)) *Object {
	o := &Object{size: size, version: version, fetch: fetch}
	if first != nil {
		o.kept = append(o.kept, block{0, first})
	}
	return o
}

// Size implements blob.Object.
func (o *Object) Size() int64 { return o.size }

// Version implements blob.Object.
func (o *Object) Version() blob.Version { return o.version }

// Close implements blob.Object.
func (o *Object) Close() error { return nil }

// ReadAt implements blob.Object.
func (o *Object) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("rangeread: negative offset")
	}
	for n < len(p) && off < o.size {
		data, err := o.block(off / Block)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], data[off%Block:])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (o *Object) block(index int64) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.kept, func(b block) bool { return b.index == index })
	if i >= 0 {
		b := o.kept[i]
		o.kept = append(slices.Delete(o.kept, i, i+1), b)
		return b.data, nil
	}
	off := index * Block
	n := min(Block, o.size-off)
	data, err := o.fetch(off, n)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != n {
		return nil, fmt.Errorf("rangeread: %d of %d bytes: %w", len(data), n, io.ErrUnexpectedEOF)
	}
	if len(o.kept) == blocks {
		o.kept = slices.Delete(o.kept, 0, 1)
	}
	o.kept = append(o.kept, block{index, data})
	return data, nil
}
