package mqtt

import (
	"sync"
	"sync/atomic"
)

// chunkSizes are the sizes in bytes that buffers come in. A connection grows
// from one to the next as bytes arrive, never because a packet announced a
// length. The largest holds the largest packet.
var chunkSizes = [...]int{512, 2 << 10, 8 << 10, 32 << 10, 128 << 10, 512 << 10}

// roomiest is the largest class that a connection takes without need: what a
// window of publishes in one read fills.
const roomiest = 3

// A chunk is a pooled read buffer, shared by the connection that reads into it
// and by the batches whose messages point into it.
type chunk struct {
	b     []byte
	class int
	refs  atomic.Int32
}

var chunkPools [len(chunkSizes)]sync.Pool

func newChunk(class int) *chunk {
	k, _ := chunkPools[class].Get().(*chunk)
	if k == nil {
		k = &chunk{b: make([]byte, chunkSizes[class]), class: class}
	}
	k.refs.Store(1)
	return k
}

// classFor returns the smallest class with room for n bytes, or the largest.
func classFor(n int) int {
	for class, size := range chunkSizes {
		if n <= size {
			return class
		}
	}
	return len(chunkSizes) - 1
}

func (k *chunk) retain() { k.refs.Add(1) }

func (k *chunk) release() {
	if k.refs.Add(-1) == 0 {
		chunkPools[k.class].Put(k)
	}
}

// shared reports whether others than the caller hold k.
func (k *chunk) shared() bool { return k.refs.Load() > 1 }
