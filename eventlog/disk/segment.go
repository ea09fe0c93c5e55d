package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A segment file is its header twice, groups, and after it is sealed a footer.
const (
	segmentSuffix  = ".log"
	unfinished     = ".tmp" // a segment whose header is not durable yet
	headerBlock    = 4096
	maxPartitions  = 1024
	footerTrailer  = 16 // offset of the footer u64, magic: the last bytes of a sealed file
	markSpacing    = 256 << 10
	segmentVersion = 1
)

var (
	errDamaged = errors.New("damaged header")
	// errNewer stops Open where guessing would destroy what a newer version wrote.
	errNewer = errors.New("written by a newer version of weir: use that version or a newer one")

	segmentMagic = [8]byte{'W', 'E', 'I', 'R', 'L', 'O', 'G', '1'}
	footerMagic  = [8]byte{'W', 'E', 'I', 'R', 'E', 'N', 'D', '1'}
)

// A segment is one file of the log. What changes while it is written (end, next,
// last, records, marks, sealed) is guarded by Log.pub; a sealed one is constant.
type segment struct {
	number uint64
	base   []int64 // per partition: the sequence number that its first record has or would have
	floor  int64   // µs: no record of it is enqueued earlier
	start  int64   // offset of the first group

	end  int64   // where its durable groups end
	size int64   // bytes that the file takes
	next []int64 // per partition: behind its last record
	last int64   // µs: no record of it is enqueued later
	// youngest is the time of its newest record, in µs, where that is known; else
	// last, which also moves on for readers of an idle log.
	youngest int64
	records  int64
	sealed   bool
	indexed  bool // marks are complete in memory, not only in the footer
	marks    marks

	auditedTo int64  // its bytes before this were surveyed, with
	counted   damage // as the result; both guarded by Log.auditing
	handle    handle
}

// A handle is the shared open file of the readers of one segment, guarded by
// Log.files.
type handle struct {
	file    File
	readers int
	removed bool
}

// marks are a sparse index: for some groups their offset, first time, and the
// sequence numbers that follow before it.
type marks struct {
	offs  []int64
	times []int64
	seqs  []int64 // len(offs) runs of one per partition
}

func (m *marks) add(off, first int64, next []int64) {
	m.offs = append(m.offs, off)
	m.times = append(m.times, first)
	m.seqs = append(m.seqs, next...)
}

// due tells whether a group at off deserves a mark.
func (m *marks) due(off int64) bool {
	return len(m.offs) == 0 || off-m.offs[len(m.offs)-1] >= markSpacing
}

// seek returns the offset of the last mark that before accepts; before is true
// for a prefix of the marks.
func (m *marks) seek(start int64, partitions int, before func(first int64, next []int64) bool) int64 {
	n := sort.Search(len(m.offs), func(i int) bool {
		return !before(m.times[i], m.seqs[i*partitions:(i+1)*partitions])
	})
	if n == 0 {
		return start
	}
	return m.offs[n-1]
}

func segmentName(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", number, segmentSuffix))
}

func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// headerSize is the length of one of the two copies of a segment's header.
func headerSize(partitions int) int64 {
	n := int64(segmentHeadFixed + 8*partitions)
	return (n + headerBlock - 1) / headerBlock * headerBlock
}

// segmentHeadFixed: magic, crc, version, log id, number, partitions, 0, floor.
const segmentHeadFixed = 8 + 4 + 4 + 8 + 8 + 4 + 4 + 8

func (s *segment) encodeHeader(id uint64) []byte {
	n := headerSize(len(s.base))
	b := make([]byte, 0, 2*n)
	b = append(b, segmentMagic[:]...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, segmentVersion)
	b = binary.LittleEndian.AppendUint64(b, id)
	b = binary.LittleEndian.AppendUint64(b, s.number)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.base)))
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.floor))
	for _, seq := range s.base {
		b = binary.LittleEndian.AppendUint64(b, uint64(seq))
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	b = b[:n]
	return append(b, b...)
}

// decodeHeader returns the segment that one copy of a header describes, and the
// log's id: errDamaged, or errNewer where guessing would destroy something.
func decodeHeader(b []byte) (*segment, uint64, error) {
	if len(b) < segmentHeadFixed || [8]byte(b) != segmentMagic {
		return nil, 0, errDamaged
	}
	n := binary.LittleEndian.Uint32(b[32:])
	if n == 0 || n > maxPartitions || len(b) < segmentHeadFixed+8*int(n) {
		return nil, 0, errDamaged
	}
	if crc32.Checksum(b[12:segmentHeadFixed+8*int(n)], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, 0, errDamaged
	}
	if binary.LittleEndian.Uint32(b[12:]) != segmentVersion {
		return nil, 0, errNewer
	}
	s := newSegment(binary.LittleEndian.Uint64(b[24:]), decodeSeqs(b[segmentHeadFixed:], int(n)))
	s.floor = int64(binary.LittleEndian.Uint64(b[40:]))
	s.last = s.floor
	return s, binary.LittleEndian.Uint64(b[16:]), nil
}

func newSegment(number uint64, base []int64) *segment {
	start := 2 * headerSize(len(base))
	return &segment{number: number, base: base, next: slices.Clone(base), start: start, end: start}
}

func decodeSeqs(b []byte, n int) []int64 {
	seqs := make([]int64, n)
	for i := range seqs {
		seqs[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return seqs
}

// footerFixed: magic, crc, marks, log id, number, end, last, records.
const footerFixed = 8 + 4 + 4 + 8 + 8 + 8 + 8 + 8

func footerSize(partitions, marks int) int64 {
	return int64(footerFixed + 8*partitions + marks*8*(2+partitions) + footerTrailer)
}

// encodeFooter is what sealing writes behind the last group.
func (s *segment) encodeFooter(id uint64) []byte {
	b := make([]byte, 0, footerSize(len(s.base), len(s.marks.offs)))
	b = append(b, footerMagic[:]...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.marks.offs)))
	for _, v := range []uint64{id, s.number, uint64(s.end), uint64(s.last), uint64(s.records)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, list := range [][]int64{s.next, s.marks.offs, s.marks.times, s.marks.seqs} {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.end))
	return append(b, footerMagic[:]...)
}

// decodeFooter fills s, whose header is known, from the footer b, which has no
// trailer and was found at offset off.
func (s *segment) decodeFooter(b []byte, id uint64, off int64) bool {
	p := len(s.base)
	if len(b) < footerFixed+8*p || [8]byte(b) != footerMagic {
		return false
	}
	n := int(binary.LittleEndian.Uint32(b[12:]))
	if int64(len(b)) != footerSize(p, n)-footerTrailer {
		return false
	}
	if crc32.Checksum(b[12:], castagnoli) != binary.LittleEndian.Uint32(b[8:]) {
		return false
	}
	v := decodeSeqs(b[16:], 5)
	if uint64(v[0]) != id || uint64(v[1]) != s.number || v[2] != off {
		return false
	}
	s.end, s.last, s.records = v[2], v[3], v[4]
	s.youngest = s.last
	rest := b[footerFixed:]
	s.next = decodeSeqs(rest, p)
	rest = rest[8*p:]
	s.marks = marks{
		offs:  decodeSeqs(rest, n),
		times: decodeSeqs(rest[8*n:], n),
		seqs:  decodeSeqs(rest[16*n:], n*p),
	}
	return true
}

// readFooter finds the footer of a sealed file of the given size; it is false
// where there is none or a damaged one.
func (s *segment) readFooter(f File, size int64, id uint64) (bool, error) {
	if size < s.start+footerTrailer {
		return false, nil
	}
	var t [footerTrailer]byte
	if _, err := f.ReadAt(t[:], size-footerTrailer); err != nil {
		return false, err
	}
	off := int64(binary.LittleEndian.Uint64(t[:]))
	length := size - footerTrailer - off
	if [8]byte(t[8:]) != footerMagic || off < s.start || length < footerFixed || length > maxFooter {
		return false, nil
	}
	b := make([]byte, length)
	if _, err := f.ReadAt(b, off); err != nil {
		return false, err
	}
	return s.decodeFooter(b, id, off), nil
}

// maxFooter bounds what a damaged trailer can make readFooter allocate: the
// footer of the largest segment with the most partitions.
const maxFooter = 64 << 20
