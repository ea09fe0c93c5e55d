package pebble

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// A place says where the document with an ID of its sender is. Device and ID
// are known by 96 bits of a keyed hash: that two of 100 million IDs have the
// same is as likely as 1 to 10^13, and cannot be brought about.
type place struct {
	hash    uint64
	check   uint32
	segment uint32
	nano    int64
}

// placeSize is the size of a place on disk.
const placeSize = 8 + 4 + 4 + 8

func (p *place) put(b []byte) {
	binary.BigEndian.PutUint64(b, p.hash)
	binary.BigEndian.PutUint32(b[8:], p.check)
	binary.BigEndian.PutUint32(b[12:], p.segment)
	binary.BigEndian.PutUint64(b[16:], uint64(p.nano))
}

func (p *place) get(b []byte) {
	p.hash = binary.BigEndian.Uint64(b)
	p.check = binary.BigEndian.Uint32(b[8:])
	p.segment = binary.BigEndian.Uint32(b[12:])
	p.nano = int64(binary.BigEndian.Uint64(b[16:]))
}

func (p *place) same(q *place) bool { return p.hash == q.hash && p.check == q.check }

func comparePlaces(p, q place) int {
	if n := cmp.Compare(p.hash, q.hash); n != 0 {
		return n
	}
	return cmp.Compare(p.check, q.check)
}

// eachPlace yields the places of a value.
func eachPlace(value []byte, f func(*place)) error {
	if len(value)%placeSize != 0 {
		return fmt.Errorf("a list of IDs with %d bytes is damaged", len(value))
	}
	var p place
	for ; len(value) > 0; value = value[placeSize:] {
		p.get(value)
		f(&p)
	}
	return nil
}

// searchPlaces looks in a value whose places are in order.
func searchPlaces(value []byte, p *place) (found place, ok bool) {
	lo, hi := 0, len(value)/placeSize
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		found.get(value[mid*placeSize:])
		switch n := comparePlaces(found, *p); {
		case n == 0:
			return found, true
		case n < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return place{}, false
}

// An idTable is a hash table of places: the last one of each ID.
type idTable struct {
	places []place
	slots  []uint32 // 1 + the place's number, 0 for none; a power of two of them
}

// slot returns where p is or would be.
func (t *idTable) slot(p *place) *uint32 {
	mask := uint64(len(t.slots) - 1)
	for i := p.hash & mask; ; i = (i + 1) & mask {
		if n := t.slots[i]; n == 0 || t.places[n-1].same(p) {
			return &t.slots[i]
		}
	}
}

func (t *idTable) find(p *place) (found place, ok bool) {
	if len(t.places) == 0 {
		return place{}, false
	}
	if n := *t.slot(p); n > 0 {
		return t.places[n-1], true
	}
	return place{}, false
}

func (t *idTable) put(p place) {
	if 2*len(t.places) >= len(t.slots) {
		t.slots = make([]uint32, max(1024, 2*len(t.slots)))
		t.reindex()
	}
	n := t.slot(&p)
	if *n > 0 {
		t.places[*n-1] = p
		return
	}
	t.places = append(t.places, p)
	*n = uint32(len(t.places))
}

// reindex finds the places again after their order changed.
func (t *idTable) reindex() {
	clear(t.slots)
	for i := range t.places {
		*t.slot(&t.places[i]) = uint32(i + 1)
	}
}

func (t *idTable) reset() {
	t.places = t.places[:0]
	clear(t.slots)
}
