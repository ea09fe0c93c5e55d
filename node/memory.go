package node

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Memory is given back when nothing happens: the garbage of ten thousand
// handshakes would else stay for minutes, since the collector runs by how much
// is allocated.
const (
	quietEvery = 2 * time.Second
	quietBytes = 2 << 20  // allocated in that time at most: the node is quiet
	trimBytes  = 16 << 20 // allocated since the last time at least: it is worth it
)

// trimMemory collects and gives memory back whenever the node falls quiet.
func trimMemory(ctx context.Context) {
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	allocated := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	trimmed, last := uint64(0), allocated()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := allocated()
		if now-last < quietBytes && now-trimmed >= trimBytes {
			debug.FreeOSMemory()
			trimmed = now
		}
		last = now
	}
}
