package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// windowBytes is how much of a segment a reader holds: what it reads at once.
const windowBytes = 256 << 10

// A window is the part of a file that is in memory.
type window struct {
	file File
	off  int64
	buf  []byte
}

func (w *window) reset(f File) {
	w.file, w.off, w.buf = f, 0, w.buf[:0]
}

func (w *window) has(off, n int64) bool {
	return off >= w.off && off+n <= w.off+int64(len(w.buf))
}

// bytes returns n bytes at off, which the window has.
func (w *window) bytes(off, n int64) []byte {
	i := off - w.off
	return w.buf[i : i+n : i+n]
}

// load moves the window to off: n bytes at least and about windowBytes, but
// none behind limit. A file that ends earlier leaves the window shorter.
func (w *window) load(off, n, limit int64) error {
	n = min(max(n, windowBytes), limit-off)
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, max(n, windowBytes))
	}
	w.off, w.buf = off, w.buf[:n]
	got, err := w.file.ReadAt(w.buf, off)
	w.buf = w.buf[:got]
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("eventlog/disk: reading %d bytes at %d: %w", n, off, err)
	}
	return nil
}

// ensure is load unless the window has the bytes; it is false where the file
// or the limit ends before them.
func (w *window) ensure(off, n, limit int64) (bool, error) {
	if w.has(off, n) {
		return true, nil
	}
	if off+n > limit {
		return false, nil
	}
	if err := w.load(off, n, limit); err != nil {
		return false, err
	}
	return w.has(off, n), nil
}

// A walker steps through the groups and records of one segment.
type walker struct {
	format
	seg *segment
	win window
}

// A format is what one needs to know of a log to tell its bytes from others.
type format struct {
	id         uint64
	partitions int
	seeds      []uint32 // by partition
}

func newFormat(id uint64, partitions int) format {
	f := format{id: id, partitions: partitions, seeds: make([]uint32, partitions)}
	for p := range f.seeds {
		f.seeds[p] = recordSeed(id, p)
	}
	return f
}

// header reads the group header at off into h; false if there is none that is
// whole and ends before limit.
func (w *walker) header(h *header, off, limit int64) (bool, error) {
	ok, err := w.win.ensure(off, groupHead, limit)
	if !ok || err != nil {
		return false, err
	}
	n, ok := headLength(w.win.bytes(off, groupHead), w.id, w.seg.number, off, w.partitions)
	if !ok {
		return false, nil
	}
	if ok, err = w.win.ensure(off, n, limit); !ok || err != nil {
		return false, err
	}
	return h.decode(w.win.bytes(off, n), off, w.partitions) && off+h.length <= limit, nil
}

// nextGroup returns the offset of the first whole group header at or behind
// off, or limit.
func (w *walker) nextGroup(off, limit int64) (int64, error) {
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], groupMagic)
	var h header
	off = align(off)
	for off+groupHead <= limit {
		if ok, err := w.win.ensure(off, groupHead, limit); err != nil {
			return 0, err
		} else if !ok {
			break
		}
		rest := w.win.buf[off-w.win.off:]
		i := bytes.Index(rest, magic[:])
		if i < 0 {
			off = align(off + int64(len(rest)) - int64(len(magic)) + 1)
			continue
		}
		at := off + int64(i)
		if at%groupAlign == 0 {
			if ok, err := w.header(&h, at, limit); ok || err != nil {
				return at, err
			}
		}
		off = align(at + 1)
	}
	return limit, nil
}

// record returns the whole record at off of the run r, if it is in order:
// within the run, with a sequence number from seq on, and undamaged.
func (w *walker) record(r run, off, seq int64) ([]byte, bool, error) {
	ok, err := w.win.ensure(off, recordHead, r.end())
	if !ok || err != nil {
		return nil, false, err
	}
	n, ok := plausible(w.win.bytes(off, recordHead), r, off, seq)
	if !ok {
		return nil, false, nil
	}
	if ok, err = w.win.ensure(off, n, r.end()); !ok || err != nil {
		return nil, false, err
	}
	b := w.win.bytes(off, n)
	return b, checkRecord(b, w.seeds[r.partition]), nil
}

// plausible tells whether head may begin a record at off of r whose sequence
// number is seq or more, and how long it is.
func plausible(head []byte, r run, off, seq int64) (int64, bool) {
	n, s := recordLength(head), recordSeq(head)
	return n, off+n <= r.end() && s >= seq && s < r.seq+r.count
}

// nextRecord returns the offset of the first undamaged record behind off in r
// with a sequence number from seq on, or the end of r. It is for damage only:
// it looks at every byte.
func (w *walker) nextRecord(r run, off, seq int64) (int64, error) {
	for off++; off+recordHead <= r.end(); off++ {
		if ok, err := w.win.ensure(off, recordHead, r.end()); err != nil || !ok {
			return r.end(), err
		}
		if _, ok := plausible(w.win.bytes(off, recordHead), r, off, seq); !ok {
			continue
		}
		if _, ok, err := w.record(r, off, seq); ok || err != nil {
			return off, err
		}
	}
	return r.end(), nil
}

// readFull reads the beginning of f into b, as far as it goes.
func readFull(f File, b []byte) (int, error) {
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
