package disk

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/weir-iot/weir/telemetry"
)

// A group is what one sync makes durable: a header with an index, then one run
// of records per partition that occurs in it.
const (
	groupMagic = 0x50524757 // "WGRP"
	groupHead  = 56         // magic, crc, log id, segment, offset, length, runs, first and last time
	runEntry   = 24         // partition, count, length, 0, first seq
	groupAlign = 8
)

// A pending group collects appends in memory. Its buffers are reused.
type pending struct {
	runs    []pendingRun // by partition
	calls   []func(error)
	bytes   int64 // what its messages count in the budget
	records int
	first   int64 // the EnqueuedAt of its first and last record, µs
	last    int64
}

type pendingRun struct {
	buf   []byte
	count int
	seq   int64 // of its first record
}

func newPending(partitions int) *pending { return &pending{runs: make([]pendingRun, partitions)} }

func (g *pending) add(seed uint32, m *telemetry.Message, at int64) {
	r := &g.runs[m.Partition]
	if r.count == 0 {
		r.seq = m.Seq
	}
	if g.records == 0 {
		g.first = at
	}
	r.buf = appendRecord(r.buf, seed, m, m.Seq, at)
	r.count++
	g.records++
	g.last = at
}

// keepBuffer is what an idle buffer may hold on to after a burst, in bytes.
const keepBuffer = 1 << 20

// reset empties g for reuse and gives back what a burst made it grow to.
func (g *pending) reset() {
	for i := range g.runs {
		r := &g.runs[i]
		r.buf = shrink(r.buf)
		r.count = 0
	}
	clear(g.calls)
	g.calls = g.calls[:0]
	g.bytes, g.records, g.first, g.last = 0, 0, 0, 0
}

// shrink empties b, and lets it go when it is large and was hardly used.
func shrink(b []byte) []byte {
	if cap(b) > keepBuffer && len(b) < cap(b)/8 {
		return nil
	}
	return b[:0]
}

// size is the length of g in a segment.
func (g *pending) size() int64 {
	n := int64(groupHead)
	for i := range g.runs {
		if g.runs[i].count > 0 {
			n += runEntry + int64(len(g.runs[i].buf))
		}
	}
	return align(n)
}

func align(n int64) int64 { return (n + groupAlign - 1) &^ (groupAlign - 1) }

// encode appends g to b as the group at offset off of segment number.
func (g *pending) encode(b []byte, id, number uint64, off int64) []byte {
	b = append(b, make([]byte, groupHead)...)
	runs := uint32(0)
	for p := range g.runs {
		r := &g.runs[p]
		if r.count == 0 {
			continue
		}
		runs++
		b = binary.LittleEndian.AppendUint32(b, uint32(p))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.count))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(r.buf)))
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(r.seq))
	}
	head := len(b)
	for p := range g.runs {
		if g.runs[p].count > 0 {
			b = append(b, g.runs[p].buf...)
		}
	}
	for int64(len(b)) < align(int64(len(b))) {
		b = append(b, 0)
	}
	binary.LittleEndian.PutUint32(b, groupMagic)
	binary.LittleEndian.PutUint64(b[8:], id)
	binary.LittleEndian.PutUint64(b[16:], number)
	binary.LittleEndian.PutUint64(b[24:], uint64(off))
	binary.LittleEndian.PutUint32(b[32:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[36:], runs)
	binary.LittleEndian.PutUint64(b[40:], uint64(g.first))
	binary.LittleEndian.PutUint64(b[48:], uint64(g.last))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:head], castagnoli))
	return b
}

// A header is the decoded head of a group in a segment.
type header struct {
	off         int64
	length      int64
	first, last int64 // µs
	runs        []run
}

type run struct {
	partition int
	count     int64
	seq       int64 // of the first record
	off       int64 // in the segment
	length    int64
}

func (r run) end() int64 { return r.off + r.length }

// headLength is how many bytes the header at the front of b takes, if b, at
// least groupHead bytes, looks like one of segment number at offset off.
func headLength(b []byte, id, number uint64, off int64, partitions int) (int64, bool) {
	if binary.LittleEndian.Uint32(b) != groupMagic ||
		binary.LittleEndian.Uint64(b[8:]) != id ||
		binary.LittleEndian.Uint64(b[16:]) != number ||
		binary.LittleEndian.Uint64(b[24:]) != uint64(off) {
		return 0, false
	}
	runs := binary.LittleEndian.Uint32(b[36:])
	if uint64(runs) > uint64(partitions) {
		return 0, false
	}
	return groupHead + runEntry*int64(runs), true
}

// decode sets h to the header b, which headLength measured, of the group at
// off. It is false for a damaged one.
func (h *header) decode(b []byte, off int64, partitions int) bool {
	if crc32.Checksum(b[8:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return false
	}
	h.off = off
	h.length = int64(binary.LittleEndian.Uint32(b[32:]))
	h.first = int64(binary.LittleEndian.Uint64(b[40:]))
	h.last = int64(binary.LittleEndian.Uint64(b[48:]))
	h.runs = h.runs[:0]
	at := off + int64(len(b))
	for e := b[groupHead:]; len(e) > 0; e = e[runEntry:] {
		r := run{
			partition: int(binary.LittleEndian.Uint32(e)),
			count:     int64(binary.LittleEndian.Uint32(e[4:])),
			length:    int64(binary.LittleEndian.Uint32(e[8:])),
			seq:       int64(binary.LittleEndian.Uint64(e[16:])),
			off:       at,
		}
		if r.partition >= partitions || r.seq < 0 || r.count == 0 {
			return false
		}
		at += r.length
		h.runs = append(h.runs, r)
	}
	return align(at-off) == h.length
}
