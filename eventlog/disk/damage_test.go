package disk

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/telemetry"
)

// An image is a log of a few segments, and what was acknowledged of it.
type image struct {
	fs     *memFS
	ledger *ledger
}

// newImage makes an image; closed or as a crash of the process leaves it.
func newImage(t testing.TB, seed uint64, closed bool) image {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	i := image{newMemFS(), newLedger()}
	l := mustOpen(t, "log", Options{FS: i.fs, SegmentBytes: minSegmentBytes, Partitions: 3})
	for len(i.fs.segments()) < 4 {
		done := make(chan struct{})
		burst := 1 + rng.IntN(5)
		for n := range burst {
			i.ledger.append(l, rng, func() {
				if n == burst-1 {
					close(done)
				}
			})
		}
		<-done
	}
	killed := i.fs.killed()
	l.Close()
	if !closed {
		i.fs = killed
	}
	return i
}

// TestDamage damages copies of logs at random: no panic, no refused start, no
// record that was not written, and what is missing is counted.
func TestDamage(t *testing.T) {
	var images []image
	for seed := range uint64(6) {
		images = append(images, newImage(t, seed, seed%2 == 0))
	}
	lost, exact := 0, 0
	n := runs(t, 10_000)
	for seed := range uint64(n) {
		rng := rand.New(rand.NewPCG(seed, 3))
		i := images[rng.IntN(len(images))]
		fs := i.fs.killed()
		for range 1 + rng.IntN(3) {
			harm(fs, rng)
		}
		l, err := Open("log", Options{FS: fs, SegmentBytes: minSegmentBytes, Partitions: 3})
		if err != nil {
			t.Fatalf("seed %d: damage refuses the start: %v", seed, err)
		}
		missing := int64(i.ledger.check(t, l, i.ledger.acked))
		s := l.Stats()
		if counted := s.DamagedRecords + s.CutRecords; missing > 0 {
			lost++
			if s.DamagedBytes+s.CutBytes == 0 && counted == 0 {
				t.Fatalf("seed %d: %d records are missing in silence: %+v", seed, missing, s)
			}
			if counted == missing {
				exact++
			}
			if s.CutBytes == 0 && counted != missing {
				t.Errorf("seed %d: %d records are missing, %d are counted: %+v", seed, missing, counted, s)
			}
		}
		logtest.Append(t, l, telemetry.Message{DeviceID: "later"})
		if err := l.Close(); err != nil {
			t.Fatalf("seed %d: close: %v", seed, err)
		}
	}
	if lost < n/10 {
		t.Errorf("only %d of %d runs lost a record: the damage is too mild to prove anything", lost, n)
	}
	t.Logf("%d of %d runs lost records, %d knew exactly how many", lost, n, exact)
}

// harm damages one file at random. What the last file lost at its end without a
// trace could never be told from what was never written, so that it gets no
// zeros and no cuts.
func harm(m *memFS, rng *rand.Rand) {
	names := m.segments()
	k := rng.IntN(len(names))
	f := m.names[names[k]]
	if len(f.data) == 0 {
		return
	}
	at := rng.IntN(len(f.data))
	n := min(1+rng.IntN(400), len(f.data)-at)
	kind := rng.IntN(5)
	if k == len(names)-1 {
		kind = rng.IntN(3)
	}
	switch kind {
	case 0, 1:
		for range 1 + rng.IntN(8) {
			f.data[rng.IntN(len(f.data))] ^= 1 << rng.IntN(8)
		}
	case 2: // bytes of another place, all but zeros
		from := m.names[names[rng.IntN(len(names))]].data
		if len(from) < n {
			return
		}
		src := from[rng.IntN(len(from)-n+1):][:n]
		if !slices.Contains(src, 0) {
			copy(f.data[at:], src)
		}
	case 3:
		clear(f.data[at : at+n])
	case 4:
		f.data = f.data[:at]
	}
}

// TestMissingFile: a file that is gone from the middle is counted and passed.
func TestMissingFile(t *testing.T) {
	i := newImage(t, 1, true)
	delete(i.fs.names, i.fs.segments()[1])
	l := mustOpen(t, "log", Options{FS: i.fs})
	missing := int64(i.ledger.check(t, l, i.ledger.acked))
	if s := l.Stats(); missing == 0 || s.DamagedRecords != missing {
		t.Errorf("%d records are missing, %d are counted", missing, s.DamagedRecords)
	}
}

// TestDamagedHeaders: without any good header the groups tell what log it is.
func TestDamagedHeaders(t *testing.T) {
	i := newImage(t, 1, false)
	for _, name := range i.fs.segments() {
		clear(i.fs.names[name].data[:2*headerBlock])
	}
	l := mustOpen(t, "log", Options{FS: i.fs, Partitions: 3})
	if missing := i.ledger.check(t, l, i.ledger.acked); missing != 0 {
		t.Errorf("%d records are missing", missing)
	}
	if l.Stats().DamagedBytes == 0 {
		t.Error("the headers are not counted")
	}
}

// TestNewerVersion: a whole header of a later format stops Open, a damaged one
// that only says so does not.
func TestNewerVersion(t *testing.T) {
	for _, whole := range []bool{true, false} {
		i := newImage(t, 1, true)
		name := i.fs.segments()[3]
		number, _ := parseSegmentName(filepath.Base(name))
		b := newSegment(number, make([]int64, 3)).encodeHeader(1)
		binary.LittleEndian.PutUint32(b[12:], segmentVersion+1)
		if whole {
			binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:segmentHeadFixed+3*8], castagnoli))
		}
		copy(i.fs.names[name].data, b)
		l, err := Open("log", Options{FS: i.fs})
		if errors.Is(err, errNewer) != whole {
			t.Errorf("whole %t: Open says %v", whole, err)
		}
		if err == nil {
			l.Close()
		}
	}
}

// FuzzRecovery gives Open any bytes in place of a segment: every start works,
// and what is read was written.
func FuzzRecovery(f *testing.F) {
	i := newImage(f, 1, false)
	name := i.fs.segments()[3]
	data := i.fs.names[name].data
	f.Add(data[:4*headerBlock], uint16(0))
	f.Add([]byte{0xff}, uint16(2*headerBlock+4))
	f.Add([]byte("WGRP"), uint16(2*headerBlock+64))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, patch []byte, at uint16) {
		fs := i.fs.killed()
		g := fs.names[name]
		if len(patch) == 0 {
			g.data = g.data[:min(int(at), len(g.data))]
		} else {
			copy(g.data[min(int(at), len(g.data)):], patch)
		}
		l := mustOpen(t, "log", Options{FS: fs, SegmentBytes: minSegmentBytes, Partitions: 3})
		i.ledger.check(t, l, i.ledger.acked)
	})
}

func FuzzRecord(f *testing.F) {
	for _, m := range []telemetry.Message{{}, {DeviceID: "a", Body: []byte("b"), Properties: telemetry.Properties{{Key: "k", Null: true}}}} {
		f.Add(appendRecord(nil, 0, &m, 1, 2))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < recordHead {
			return
		}
		var m telemetry.Message
		if _, ok := decodeRecord(b, 0, &m, nil); !ok {
			return
		}
		again := appendRecord(nil, 0, &m, m.Seq, m.EnqueuedAt.UnixMicro())
		var n telemetry.Message
		if _, ok := decodeRecord(again, 0, &n, nil); !ok || n.DeviceID != m.DeviceID || string(n.Body) != string(m.Body) || len(n.Properties) != len(m.Properties) {
			t.Errorf("%+v comes back as %+v", m, n)
		}
	})
}
