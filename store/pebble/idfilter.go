package pebble

import "math/bits"

const (
	// filterBits is the memory for an ID in a filter that has room: about 1 in
	// 70 new IDs is looked for in vain.
	filterBits = 10
	// firstLayer and layerGrowth are the sizes of a filter that grows: 512 KB
	// know 400,000 IDs.
	firstLayer  = 512 << 10
	layerGrowth = 8
)

// A block is a cache line: a look-up touches one of each layer.
type block [8]uint64

// A filter tells IDs that are certainly new from those that may be known. It
// grows by layers, and when it may not grow it says "known" more often.
type filter struct {
	layers [][]block
	left   int // IDs for which the last layer has room
	bytes  int // of all layers
}

// positions returns 7 positions of 9 bits each, and the block.
func (p *place) positions(blocks int) (at uint64, positions uint64) {
	at, _ = bits.Mul64(p.hash, uint64(blocks))
	return at, (uint64(p.check)<<32 | p.hash&0xffffffff) * 0x9e3779b97f4a7c15
}

const filterProbes = 7

func (f *filter) add(p *place) {
	layer := f.layers[len(f.layers)-1]
	at, x := p.positions(len(layer))
	for range filterProbes {
		layer[at][x>>6&7] |= 1 << (x & 63)
		x >>= 9
	}
	f.left--
}

func (f *filter) has(p *place) bool {
	for _, layer := range f.layers {
		if at, x := p.positions(len(layer)); layer[at].has(x) {
			return true
		}
	}
	return false
}

func (b *block) has(x uint64) bool {
	for range filterProbes {
		if b[x>>6&7]&(1<<(x&63)) == 0 {
			return false
		}
		x >>= 9
	}
	return true
}

// reserve makes room for n more IDs, as far as limit bytes allow. Every filter
// may have its smallest layer.
func (f *filter) reserve(n, limit int) {
	if f.left >= n {
		return
	}
	const size = 64 // bytes of a block
	want := max(n*filterBits/8, firstLayer)
	if len(f.layers) > 0 {
		want = max(want, layerGrowth*size*len(f.layers[len(f.layers)-1]))
	}
	if want = min(want, limit-f.bytes); want < firstLayer {
		if len(f.layers) > 0 {
			return
		}
		want = size << 10
	}
	f.layers = append(f.layers, make([]block, want/size))
	f.bytes += want / size * size
	f.left = want * 8 / filterBits
}
