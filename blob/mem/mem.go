// Package mem is the bucket in memory: for tests, and for the contract to have
// a plain reading. It keeps what every engine keeps, but nothing after the
// process ends, and is bounded by memory only.
package mem

import (
	"bytes"
	"context"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/weir-iot/weir/blob"
)

// Bucket is a blob.Bucket.
type Bucket struct {
	mu      sync.Mutex
	objects map[string]object
	writes  uint64
}

var _ blob.Bucket = (*Bucket)(nil)

type object struct {
	*bytes.Reader
	version blob.Version
}

func (o object) Version() blob.Version { return o.version }
func (o object) Close() error          { return nil }

// New returns an empty bucket.
func New() *Bucket { return &Bucket{objects: make(map[string]object)} }

// Open implements blob.Bucket.
func (b *Bucket) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[name]
	if !ok {
		return nil, blob.ErrNotExist
	}
	return o, nil
}

// Put implements blob.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	_, err := b.write(ctx, name, nil, r)
	return err
}

// Swap implements blob.Bucket.
func (b *Bucket) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	return b.write(ctx, name, &old, r)
}

func (b *Bucket) write(ctx context.Context, name string, old *blob.Version, r io.Reader) (blob.Version, error) {
	if err := check(ctx, name); err != nil {
		return blob.Absent, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return blob.Absent, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old != nil && b.objects[name].version != *old {
		return blob.Absent, blob.ErrChanged
	}
	b.writes++
	o := object{bytes.NewReader(data), blob.Version(strconv.FormatUint(b.writes, 10))}
	b.objects[name] = o
	return o.version, nil
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		b.mu.Lock()
		names := slices.Sorted(maps.Keys(b.objects))
		b.mu.Unlock()
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if strings.HasPrefix(name, prefix) && !yield(name, nil) {
				return
			}
		}
	}
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, name)
	return nil
}

func check(ctx context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	return ctx.Err()
}
