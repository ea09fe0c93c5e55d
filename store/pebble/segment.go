package pebble

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// A segment is a range of keys that holds all documents of one day of expiry
// that arrived in one stretch. New documents of a device would otherwise land
// in front of its old ones, and each compaction would rewrite the whole day;
// a segment is compacted while it grows and never again, so that a document is
// written about twice in its life, however much is stored. A read looks only
// into segments whose times touch its range.
type segment struct {
	day, number uint32
	bytes       uint64 // keys and values, before compression
	named       uint64 // documents that were upserted with an ID of the sender
	min, max    int64  // the times of its documents, in nanoseconds
}

// A segment is closed when it has minSegment bytes, or its share of the whole
// where that is more: so there are never many more than maxSegments of them.
const (
	minSegment  = 64 << 20
	maxSegments = 128
)

const segmentValueSize = 4 * 8

func (g *segment) value(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, g.bytes)
	b = binary.BigEndian.AppendUint64(b, g.named)
	b = binary.BigEndian.AppendUint64(b, uint64(g.min))
	return binary.BigEndian.AppendUint64(b, uint64(g.max))
}

func parseSegment(key, value []byte) (segment, error) {
	if len(key) != segmentKeySize || len(value) != segmentValueSize {
		return segment{}, fmt.Errorf("segment entry %x with %d bytes is damaged", key, len(value))
	}
	return segment{
		day:    binary.BigEndian.Uint32(key[1:]),
		number: binary.BigEndian.Uint32(key[5:]),
		bytes:  binary.BigEndian.Uint64(value),
		named:  binary.BigEndian.Uint64(value[8:]),
		min:    int64(binary.BigEndian.Uint64(value[16:])),
		max:    int64(binary.BigEndian.Uint64(value[24:])),
	}, nil
}

// A table knows all segments. The last one of a day is the one that grows.
type table struct {
	segments []*segment // in order of number
	total    uint64     // bytes of all
	next     uint32     // number of the next segment
}

func (t *table) add(g *segment) {
	t.segments = append(t.segments, g)
	t.total += g.bytes
	t.next = max(t.next, g.number+1)
}

// order puts the segments in order of number after they were read by day.
func (t *table) order() {
	slices.SortFunc(t.segments, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
}

// open returns the segment that takes documents of that day.
func (t *table) open(day uint32) *segment {
	full := max(minSegment, t.total/maxSegments)
	for _, g := range slices.Backward(t.segments) {
		if g.day == day && g.bytes < full {
			return g
		}
		if g.day == day {
			break
		}
	}
	g := &segment{day: day, number: t.next, min: math.MaxInt64, max: math.MinInt64}
	t.add(g)
	return g
}

// grow notes a document of that size.
func (t *table) grow(g *segment, nano int64, size int, named bool) {
	g.bytes += uint64(size)
	t.total += uint64(size)
	g.min, g.max = min(g.min, nano), max(g.max, nano)
	if named {
		g.named++
	}
}

// named returns how many documents with an ID of the sender a generation got.
func (t *table) named(n uint32) (sum int) {
	for _, g := range t.segments {
		if generation(g.day) == n {
			sum += int(g.named)
		}
	}
	return sum
}

// dayOf returns the day of a segment that is there.
func (t *table) dayOf(number uint32) (day uint32, ok bool) {
	at, ok := slices.BinarySearchFunc(t.segments, number, func(g *segment, n uint32) int { return cmp.Compare(g.number, n) })
	if !ok {
		return 0, false
	}
	return t.segments[at].day, true
}

// between appends copies of the segments that have documents from lo to hi.
func (t *table) between(dst []segment, lo, hi int64) []segment {
	for _, g := range t.segments {
		if g.min <= hi && g.max >= lo {
			dst = append(dst, *g)
		}
	}
	return dst
}

// drop forgets the segments of a day.
func (t *table) drop(day uint32) {
	t.segments = slices.DeleteFunc(t.segments, func(g *segment) bool {
		if g.day == day {
			t.total -= g.bytes
		}
		return g.day == day
	})
}

// days returns the days that have segments, in order.
func (t *table) days() []uint32 {
	var days []uint32
	for _, g := range t.segments {
		days = append(days, g.day)
	}
	slices.Sort(days)
	return slices.Compact(days)
}
