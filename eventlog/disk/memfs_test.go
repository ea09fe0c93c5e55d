package disk

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
)

// sector is what a disk writes whole.
const sector = 512

// A memFS is a file system in memory that remembers what was synced, so that
// crash can tell what a power cut leaves. fault may fail any call.
type memFS struct {
	mu      sync.Mutex
	names   map[string]*memFile
	durable map[string]*memFile // the names that a synced folder has
	locked  bool
	fault   func(op, name string) error
	writes  int // calls of WriteAt
}

type memFile struct {
	data   []byte
	synced []byte
	dirty  map[int]struct{} // sectors written since the last sync
}

func newMemFS() *memFS {
	return &memFS{names: map[string]*memFile{}, durable: map[string]*memFile{}}
}

// crash returns what a power cut now may leave: what is synced, and of the rest
// any part.
func (m *memFS) crash(rng *rand.Rand) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemFS()
	for name, f := range m.durable {
		c.put(name, f.crash(rng))
	}
	for name, f := range m.names {
		if m.durable[name] == nil && rng.IntN(2) == 0 {
			c.put(name, f.crash(rng))
		}
	}
	return c
}

func (f *memFile) crash(rng *rand.Rand) []byte {
	b := slices.Clone(f.synced)
	if rng.IntN(2) == 0 { // the size of a file may be ahead of what is in it
		b = resize(b, len(f.data))
	}
	keep := rng.Float64()
	for s := range f.dirty {
		from, to := s*sector, min((s+1)*sector, len(f.data), len(b))
		if from < to && rng.Float64() < keep {
			copy(b[from:to], f.data[from:to])
		}
	}
	return b
}

// killed returns what a crash of the process leaves: all that was written.
func (m *memFS) killed() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemFS()
	for name, f := range m.names {
		c.put(name, slices.Clone(f.data))
	}
	return c
}

func (m *memFS) put(name string, data []byte) {
	f := &memFile{data: data, synced: slices.Clone(data), dirty: map[int]struct{}{}}
	m.names[name], m.durable[name] = f, f
}

// segments returns the names of the segment files, ascending.
func (m *memFS) segments() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m.names)) {
		if _, ok := parseSegmentName(filepath.Base(name)); ok {
			names = append(names, name)
		}
	}
	return names
}

func resize(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n]
	}
	return append(b, make([]byte, n-len(b))...)
}

func (m *memFS) check(op, name string) error {
	if m.fault == nil {
		return nil
	}
	return m.fault(op, name)
}

func (m *memFS) setFault(fault func(op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

func (m *memFS) MkdirAll(string) error { return nil }

func (m *memFS) List(string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.names {
		names = append(names, filepath.Base(name))
	}
	return names, nil
}

func (m *memFS) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check("create", name); err != nil {
		return nil, err
	}
	if m.names[name] != nil {
		return nil, fs.ErrExist
	}
	m.names[name] = &memFile{dirty: map[int]struct{}{}}
	return &memHandle{m, m.names[name], name}, nil
}

func (m *memFS) Open(name string, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check("open", name); err != nil {
		return nil, err
	}
	if m.names[name] == nil {
		return nil, fs.ErrNotExist
	}
	return &memHandle{m, m.names[name], name}, nil
}

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check("rename", from); err != nil {
		return err
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m *memFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check("remove", name); err != nil {
		return err
	}
	delete(m.names, name)
	return nil
}

func (m *memFS) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check("syncdir", dir); err != nil {
		return err
	}
	here := func(name string, _ *memFile) bool { return filepath.Dir(name) == filepath.Clean(dir) }
	maps.DeleteFunc(m.durable, here)
	for name, f := range m.names {
		if here(name, f) {
			m.durable[name] = f
		}
	}
	return nil
}

type unlock struct{ m *memFS }

func (u unlock) Close() error {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	u.m.locked = false
	return nil
}

func (m *memFS) Lock(string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, ErrLocked
	}
	m.locked = true
	return unlock{m}, nil
}

type memHandle struct {
	m    *memFS
	f    *memFile
	name string
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.check("read", h.name); err != nil {
		return 0, err
	}
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.m.writes++
	if err := h.m.check("write", h.name); err != nil {
		return 0, err
	}
	if end := int(off) + len(p); end > len(h.f.data) {
		h.f.data = resize(h.f.data, end)
	}
	copy(h.f.data[off:], p)
	for s := int(off) / sector; s*sector < int(off)+len(p); s++ {
		h.f.dirty[s] = struct{}{}
	}
	return len(p), nil
}

func (h *memHandle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.f.data)), nil
}

func (h *memHandle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.check("truncate", h.name); err != nil {
		return err
	}
	h.f.data = resize(h.f.data, int(size))
	return nil
}

func (h *memHandle) Allocate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.check("allocate", h.name); err != nil {
		return err
	}
	h.f.data = resize(h.f.data, int(size))
	return nil
}

func (h *memHandle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.check("sync", h.name); err != nil {
		return err
	}
	h.f.synced = resize(h.f.synced, len(h.f.data))
	for s := range h.f.dirty {
		if from := s * sector; from < len(h.f.data) {
			copy(h.f.synced[from:], h.f.data[from:min(from+sector, len(h.f.data))])
		}
	}
	clear(h.f.dirty)
	return nil
}

func (h *memHandle) Close() error { return nil }

var errInjected = errors.New("injected")
