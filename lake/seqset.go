package lake

import (
	"math/bits"
	"slices"
)

// A seqSet is a set of sequence numbers: two bytes for each, or one bit where
// they are dense, as they are.
type seqSet struct {
	chunks map[int64]*seqChunk // by the number without its low 16 bits
	count  int64
}

type seqChunk struct {
	few  []uint16 // sorted; nil when there are many
	many []uint64
}

// fewest is how many numbers of a chunk are kept as a list.
const fewest = 4096

// add reports whether n was not in the set.
func (s *seqSet) add(n int64) bool {
	if s.chunks == nil {
		s.chunks = map[int64]*seqChunk{}
	}
	c := s.chunks[n>>16]
	if c == nil {
		c = new(seqChunk)
		s.chunks[n>>16] = c
	}
	isNew := c.add(uint16(n))
	if isNew {
		s.count++
	}
	return isNew
}

func (c *seqChunk) add(n uint16) bool {
	if c.many == nil {
		i, found := slices.BinarySearch(c.few, n)
		if found {
			return false
		}
		if len(c.few) < fewest {
			c.few = slices.Insert(c.few, i, n)
			return true
		}
		c.many = make([]uint64, 1<<16/64)
		for _, m := range c.few {
			c.many[m/64] |= 1 << (m % 64)
		}
		c.few = nil
	}
	bit := uint64(1) << (n % 64)
	isNew := c.many[n/64]&bit == 0
	c.many[n/64] |= bit
	return isNew
}

// bounds returns the least and the greatest number of a set that is not empty.
func (s *seqSet) bounds() (low, high int64) {
	first := true
	for high16, c := range s.chunks {
		l, h := c.bounds()
		l, h = high16<<16|l, high16<<16|h
		if first {
			low, high, first = l, h, false
		}
		low, high = min(low, l), max(high, h)
	}
	return low, high
}

func (c *seqChunk) bounds() (low, high int64) {
	if c.many == nil {
		return int64(c.few[0]), int64(c.few[len(c.few)-1])
	}
	for i, word := range c.many {
		if word != 0 {
			low = int64(i*64 + bits.TrailingZeros64(word))
			break
		}
	}
	for i, word := range slices.Backward(c.many) {
		if word != 0 {
			return low, int64(i*64 + 63 - bits.LeadingZeros64(word))
		}
	}
	return low, low
}
