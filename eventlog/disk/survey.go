package disk

import (
	"bytes"
	"slices"
)

// A survey is what a look at every byte of a segment found.
type survey struct {
	end     int64   // behind the last group that counts
	tail    int64   // behind the last byte that is not zero, from end on
	next    []int64 // per partition
	last    int64
	records int64 // whole ones
	marks   marks
	damage  damage
	torn    int64 // records of a torn last group, where its index could be read
}

// damage is what was set aside.
type damage struct {
	bytes   int64
	records int64 // as far as sequence numbers tell
}

func (d *damage) add(o damage) {
	d.bytes += o.bytes
	d.records += o.records
}

func (d damage) minus(o damage) damage { return damage{d.bytes - o.bytes, d.records - o.records} }

// survey reads the segment up to limit. With open set the segment may end in a
// group that a crash cut short: such a group and what is behind it is the tail.
func (w *walker) survey(limit int64, open bool) (*survey, error) {
	v := &survey{end: w.seg.start, next: slices.Clone(w.seg.base), last: w.seg.floor}
	var h header
	for off := w.seg.start; off < limit; {
		ok, err := w.header(&h, off, limit)
		if err != nil {
			return nil, err
		}
		if !ok || !v.follows(&h) {
			to, err := w.nextGroup(off+groupAlign, limit)
			if err != nil {
				return nil, err
			}
			if to == limit {
				break
			}
			v.damage.bytes += to - off
			off = to
			continue
		}
		whole, bad, err := w.verify(&h)
		if err != nil {
			return nil, err
		}
		if bad.bytes > 0 && open {
			torn, err := w.isTorn(&h, limit)
			if err != nil {
				return nil, err
			}
			if torn {
				v.torn = whole + bad.records
				break
			}
		}
		v.take(&h, whole, bad)
		off = v.end
	}
	if !open {
		v.damage.bytes += max(0, limit-v.end)
		return v, nil
	}
	return v, w.findTail(v, limit)
}

// follows tells whether h may come behind what was seen: sequence numbers and
// time never go back.
func (v *survey) follows(h *header) bool {
	for _, r := range h.runs {
		if r.seq < v.next[r.partition] {
			return false
		}
	}
	return h.first >= v.last && h.last >= h.first
}

func (v *survey) take(h *header, whole int64, bad damage) {
	if v.marks.due(h.off) {
		v.marks.add(h.off, h.first, v.next)
	}
	for _, r := range h.runs {
		v.damage.records += r.seq - v.next[r.partition]
		v.next[r.partition] = r.seq + r.count
	}
	v.damage.add(bad)
	v.records += whole
	v.last = h.last
	v.end = h.off + h.length
}

// verify checks every record of a group.
func (w *walker) verify(h *header) (whole int64, bad damage, err error) {
	for _, r := range h.runs {
		seq := r.seq
		for off := r.off; off < r.end(); {
			b, ok, err := w.record(r, off, seq)
			if err != nil {
				return 0, bad, err
			}
			if ok {
				seq = recordSeq(b) + 1
				off += int64(len(b))
				whole++
				continue
			}
			to, err := w.nextRecord(r, off, seq)
			if err != nil {
				return 0, bad, err
			}
			bad.bytes += to - off
			off = to
		}
	}
	for _, r := range h.runs {
		bad.records += r.count
	}
	bad.records -= whole
	return whole, bad, nil
}

// isTorn tells whether nothing was ever written behind a damaged group: then
// its sync cannot have ended, and nobody was told that it is durable.
func (w *walker) isTorn(h *header, limit int64) (bool, error) {
	behind := h.off + h.length
	if sealed, err := w.footerAt(behind, limit); sealed || err != nil {
		return false, err
	}
	to, err := w.nextGroup(behind, limit)
	return to == limit, err
}

// footerAt tells whether a footer begins at off.
func (w *walker) footerAt(off, limit int64) (bool, error) {
	n := int64(len(footerMagic))
	ok, err := w.win.ensure(off, n, limit)
	return ok && bytes.Equal(w.win.bytes(off, n), footerMagic[:]), err
}

// findTail sets v.tail. A footer behind the last group is no tail: sealing
// was cut short.
func (w *walker) findTail(v *survey, limit int64) error {
	v.tail = v.end
	zeros := make([]byte, windowBytes)
	if footer, err := w.footerAt(v.end, limit); footer || err != nil {
		return err
	}
	for off := v.end; off < limit; {
		if ok, err := w.win.ensure(off, 1, limit); !ok || err != nil {
			return err
		}
		rest := w.win.buf[off-w.win.off:]
		rest = rest[:min(len(rest), len(zeros))]
		if !bytes.Equal(rest, zeros[:len(rest)]) {
			v.tail = off + int64(len(bytes.TrimRight(rest, "\x00")))
		}
		off += int64(len(rest))
	}
	return nil
}
