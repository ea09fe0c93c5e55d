package fleet

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram counts durations with an error below 2 %, in constant memory. It
// is safe for concurrent use.
type Histogram struct {
	counts [(64 - subBits) << subBits]atomic.Uint64
	max    atomic.Int64
}

// subBits gives every power of two 2^subBits buckets.
const subBits = 6

// Record counts one duration; negative ones count as 0.
func (h *Histogram) Record(d time.Duration) {
	n := max(int64(d), 0)
	h.counts[bucket(uint64(n))].Add(1)
	for old := h.max.Load(); n > old && !h.max.CompareAndSwap(old, n); old = h.max.Load() {
	}
}

// bucket is the index of n: exact up to 2^(subBits+1), then by leading bits.
func bucket(n uint64) int {
	if n < 1<<(subBits+1) {
		return int(n)
	}
	shift := bits.Len64(n) - subBits - 1
	return shift<<subBits + int(n>>shift)
}

// value is the middle of bucket i.
func value(i int) time.Duration {
	if i < 1<<(subBits+1) {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	low := uint64(i-shift<<subBits) << shift
	return time.Duration(low + 1<<shift/2)
}

// Quantile returns the duration that share q of the recorded ones do not
// exceed; 0 where there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	var total uint64
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	rank := uint64(q*float64(total) + 0.5)
	var seen uint64
	for i := range h.counts {
		if seen += h.counts[i].Load(); seen >= rank && seen > 0 {
			return min(value(i), h.Max())
		}
	}
	return 0
}

// Max is the longest recorded duration, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }
