package rangeread

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestObject(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, size := range []int64{0, 1, Block, Block + 1, 20*Block + 7} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		requests := 0
		o := New(size, "v", data[:min(size, Block)], func(off, n int64) ([]byte, error) {
			requests++
			return data[off : off+n], nil
		})
		for range 200 {
			off := random.Int64N(size + 1)
			n := random.Int64N(min(size-off, 3*Block) + 1)
			p := make([]byte, n)
			if m, err := o.ReadAt(p, off); int64(m) != n || err != nil || !bytes.Equal(p, data[off:off+n]) {
				t.Fatalf("size %d: ReadAt(%d, %d) gave %d, %v", size, off, n, m, err)
			}
		}
		if size <= Block && requests > 0 {
			t.Errorf("size %d: %d requests", size, requests)
		}
	}
}
