// Package dir is the bucket in a folder of a file system: an object is a file.
//
// It promises what blob.Bucket promises, also to several processes on systems
// with flock(2): a file is written aside, synced, renamed into place, and its
// folder synced. A version is the hash of what the file holds. It leaves out
// the removal of folders that became empty.
package dir

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-iot/weir/blob"
)

// Names of our own begin with a point, as no object's element does.
const (
	tempPrefix = ".tmp-"
	lockName   = ".lock"
	// leftover is the age at which a temporary file's writer must be dead.
	leftover = 24 * time.Hour
)

// Bucket is a blob.Bucket.
type Bucket struct {
	root *os.Root // refuses what leads out of the folder, symbolic links too
	lock *os.File
	mu   sync.Mutex // with lock: held while an object is replaced
}

var _ blob.Bucket = (*Bucket)(nil)

// Open opens the bucket in a folder, which is made if it is not there.
func Open(folder string) (*Bucket, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("blob/dir: opening: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("blob/dir: opening: %w", err)
	}
	lock, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("blob/dir: opening %s: %w", folder, err)
	}
	b := &Bucket{root: root, lock: lock}
	b.sweep()
	return b, nil
}

// Close ends the bucket's use of the folder; objects that are open stay open.
func (b *Bucket) Close() error { return errors.Join(b.lock.Close(), b.root.Close()) }

// sweep removes temporary files that a crash left; what it cannot remove does no harm.
func (b *Bucket) sweep() {
	entries, _ := fs.ReadDir(b.root.FS(), ".")
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftover {
			_ = b.root.Remove(e.Name())
		}
	}
}

// An object is hashed when its version is asked for: most are only read.
type object struct {
	*os.File
	size    int64
	once    sync.Once
	version blob.Version
}

func (o *object) Size() int64 { return o.size }

// Version is none that a file has if the file cannot be read.
func (o *object) Version() blob.Version {
	o.once.Do(func() {
		h := sha256.New()
		o.version = "unreadable"
		if _, err := io.Copy(h, io.NewSectionReader(o.File, 0, o.size)); err == nil {
			o.version = versionOf(h.Sum(nil))
		}
	})
	return o.version
}

// Open implements blob.Bucket.
func (b *Bucket) Open(ctx context.Context, name string) (blob.Object, error) {
	if err := check(ctx, name); err != nil {
		return nil, err
	}
	o, err := b.open(name)
	if err != nil {
		return nil, err
	}
	return o, nil
}

func (b *Bucket) open(name string) (*object, error) {
	f, err := b.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) || isNotFolder(err) {
		return nil, blob.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("blob/dir: opening: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		f.Close()
		return nil, blob.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("blob/dir: reading: %w", err)
	}
	return &object{File: f, size: info.Size()}, nil
}

func versionOf(sum []byte) blob.Version { return blob.Version(hex.EncodeToString(sum[:16])) }

// Put implements blob.Bucket.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader) error {
	_, err := b.write(ctx, name, r, func(temp string) error { return b.root.Rename(temp, name) })
	return err
}

// Swap implements blob.Bucket.
func (b *Bucket) Swap(ctx context.Context, name string, old blob.Version, r io.Reader) (blob.Version, error) {
	return b.write(ctx, name, r, func(temp string) error {
		if old == blob.Absent {
			return b.create(temp, name)
		}
		o, err := b.open(name)
		if err != nil {
			return orElse(errors.Is(err, blob.ErrNotExist), blob.ErrChanged, err)
		}
		version := o.Version()
		o.Close()
		if version != old {
			return blob.ErrChanged
		}
		return b.root.Rename(temp, name)
	})
}

// create gives the file its name by link(2), which never replaces: it holds
// also where the lock does not, as on some network file systems.
func (b *Bucket) create(temp, name string) error {
	if err := b.root.Link(temp, name); err != nil {
		return orElse(errors.Is(err, fs.ErrExist), blob.ErrChanged, err)
	}
	return b.root.Remove(temp)
}

// orElse returns meant if the error is what is meant by it.
func orElse(is bool, meant, err error) error {
	if is {
		return meant
	}
	return err
}

// write writes r aside, and lets place give it its name under the lock.
func (b *Bucket) write(ctx context.Context, name string, r io.Reader, place func(temp string) error) (blob.Version, error) {
	if err := check(ctx, name); err != nil {
		return blob.Absent, err
	}
	temp, version, err := b.aside(r)
	if err != nil {
		return blob.Absent, fmt.Errorf("blob/dir: writing %s: %w", name, err)
	}
	defer func() { _ = b.root.Remove(temp) }() // gone if it has its name
	b.mu.Lock()
	defer b.mu.Unlock()
	unlock, err := flock(b.lock)
	if err != nil {
		return blob.Absent, fmt.Errorf("blob/dir: locking: %w", err)
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return blob.Absent, err
	}
	folders, err := b.folders(name)
	if err == nil {
		err = place(temp)
	}
	for _, folder := range folders {
		if err == nil {
			err = b.sync(folder)
		}
	}
	if err != nil {
		return blob.Absent, fmt.Errorf("blob/dir: writing %s: %w", name, err)
	}
	return version, nil
}

// temp makes a file of a name that nothing else has.
func (b *Bucket) temp() (*os.File, string, error) {
	name := tempPrefix + rand.Text()
	f, err := b.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return f, name, err
}

// aside writes r to a synced file of a name of its own.
func (b *Bucket) aside(r io.Reader) (temp string, _ blob.Version, err error) {
	f, temp, err := b.temp()
	if err != nil {
		return "", blob.Absent, err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, h), r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = b.root.Remove(temp)
		return "", blob.Absent, err
	}
	return temp, versionOf(h.Sum(nil)), nil
}

// folders makes the folders of name, and returns those whose entries change:
// from that which holds the file up to the root.
func (b *Bucket) folders(name string) (all []string, err error) {
	folder := path.Dir(name)
	if err := b.root.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	for ; folder != "."; folder = path.Dir(folder) {
		all = append(all, folder)
	}
	return append(all, "."), nil
}

func (b *Bucket) sync(folder string) error {
	f, err := b.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(f), f.Close())
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := b.list(ctx, ".", prefix, func(name string) bool { return yield(name, nil) }); err != nil && err != errStop {
			yield("", fmt.Errorf("blob/dir: listing: %w", err))
		}
	}
}

var errStop = errors.New("stop")

// list walks a folder in the order of whole names: that of "a/b" is not that of
// the entry "a", but of "a/".
func (b *Bucket) list(ctx context.Context, folder, prefix string, yield func(string) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(b.root.FS(), folder)
	if err != nil {
		return orElse(errors.Is(err, fs.ErrNotExist), nil, err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := path.Join(folder, e.Name())
		if e.IsDir() {
			name += "/"
		}
		related := strings.HasPrefix(name, prefix) || e.IsDir() && strings.HasPrefix(prefix, name)
		if related && e.Name()[0] != '.' {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if sub, ok := strings.CutSuffix(name, "/"); ok {
			if err := b.list(ctx, sub, prefix, yield); err != nil {
				return err
			}
		} else if !yield(name) {
			return errStop
		}
	}
	return nil
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := check(ctx, name); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	unlock, err := flock(b.lock)
	if err != nil {
		return fmt.Errorf("blob/dir: locking: %w", err)
	}
	defer unlock()
	o, err := b.open(name) // a folder of that name is not an object
	if errors.Is(err, blob.ErrNotExist) {
		return nil
	}
	if err == nil {
		o.Close()
		err = b.root.Remove(name)
	}
	if err == nil {
		err = b.sync(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("blob/dir: deleting %s: %w", name, err)
	}
	return nil
}

func check(ctx context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	return ctx.Err()
}
