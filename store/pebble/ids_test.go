package pebble

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
)

// TestSipHash has the published vectors of SipHash-2-4-128: key 00 to 0f, the
// input 00, 01 and so on.
func TestSipHash(t *testing.T) {
	key := [2]uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for n, want := range map[int]string{
		0: "a3817f04ba25a8e66df67214c7550293", 1: "da87c1d86b99af44347659119b22fc45",
		8: "3b62a9ba6258f5610f83e264f31497b4",
	} {
		input := make([]byte, n)
		for i := range input {
			input[i] = byte(i)
		}
		lo, hi := sipHash(key, input)
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, lo), hi)
		if hex.EncodeToString(got) != want {
			t.Errorf("%d bytes: got %x, want %s", n, got, want)
		}
	}
}

// TestFilter knows all that was added, at any size, within its memory, and
// says of few others that it knows them while it has room.
func TestFilter(t *testing.T) {
	x := ids{key: [2]uint64{1, 2}}
	for _, tt := range []struct {
		n, limit int
		most     float64 // of new IDs that are said to be known
	}{
		{50_000, 1 << 20, 0.002},
		{450_000, 8 << 20, 0.03}, // two layers
		{100_000, 64 << 10, 1},   // full
	} {
		var f filter
		for i := range tt.n {
			if i%1000 == 0 {
				f.reserve(1000, tt.limit)
			}
			p := x.of("d", fmt.Sprint(i))
			f.add(&p)
		}
		for i := range tt.n {
			if p := x.of("d", fmt.Sprint(i)); !f.has(&p) {
				t.Fatalf("%d of %d is not known", i, tt.n)
			}
		}
		const others = 20_000
		known := 0
		for i := range others {
			if p := x.of("e", fmt.Sprint(i)); f.has(&p) {
				known++
			}
		}
		if rate := float64(known) / others; rate > tt.most || f.bytes > tt.limit {
			t.Errorf("%d IDs: %.4f of others are known, %d bytes; want at most %v, %d", tt.n, rate, f.bytes, tt.most, tt.limit)
		}
	}
}
