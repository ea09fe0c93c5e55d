package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// recover finds the segments of the folder and makes their state that of l. It
// creates the first segment of a new log.
func (l *Log) recover() error {
	numbers, err := l.list()
	if err != nil {
		return err
	}
	if err := l.identify(numbers); err != nil {
		return err
	}
	for _, number := range numbers {
		if err := l.openSegment(number, number == numbers[len(numbers)-1]); err != nil {
			return fmt.Errorf("eventlog/disk: opening %s: %w", segmentName(l.dir, number), err)
		}
	}
	if len(l.segs) > 0 {
		return nil
	}
	first, f, err := l.create(0, make([]int64, l.partitions), l.opts.Now().UnixMicro(), l.opts.SegmentBytes)
	if err != nil {
		return fmt.Errorf("eventlog/disk: creating the log in %s: %w", l.dir, err)
	}
	l.segs = []*segment{first}
	l.bytes = first.size
	l.w.attach(first, f)
	return nil
}

// list returns the numbers of the segment files, ascending, and removes files
// that a crash left before they were segments.
func (l *Log) list() ([]uint64, error) {
	names, err := l.opts.FS.List(l.dir)
	if err != nil {
		return nil, fmt.Errorf("eventlog/disk: reading the folder %s: %w", l.dir, err)
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := parseSegmentName(name); ok {
			numbers = append(numbers, n)
		} else if strings.HasSuffix(name, segmentSuffix+unfinished) {
			if err := l.opts.FS.Remove(filepath.Join(l.dir, name)); err != nil {
				return nil, fmt.Errorf("eventlog/disk: removing an unfinished segment: %w", err)
			}
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// identify sets l.format from the first segment that can tell it.
func (l *Log) identify(numbers []uint64) error {
	for _, look := range []func(uint64) (format, error){l.formatOfHeader, l.formatOfGroup} {
		for _, number := range numbers {
			f, err := look(number)
			if err != nil {
				return fmt.Errorf("eventlog/disk: reading %s: %w", segmentName(l.dir, number), err)
			}
			if f.partitions == 0 {
				continue
			}
			if l.opts.Partitions != 0 && l.opts.Partitions != f.partitions {
				return fmt.Errorf("eventlog/disk: the log in %s has %d partitions, not %d: the number is fixed when a log is created; configure %d, or begin a new folder",
					l.dir, f.partitions, l.opts.Partitions, f.partitions)
			}
			l.format = f
			return nil
		}
	}
	l.format = newFormat(newID(), either(l.opts.Partitions, defaultPartitions))
	return nil
}

func (l *Log) formatOfHeader(number uint64) (format, error) {
	f, err := l.opts.FS.Open(segmentName(l.dir, number), false)
	if err != nil {
		return format{}, err
	}
	defer f.Close()
	s, id, _, err := l.readHeader(f, number)
	if s == nil || err != nil {
		return format{}, err
	}
	return newFormat(id, len(s.base)), nil
}

// readHeader returns the segment that the header of f describes, nil if both
// copies are damaged, and whether one of them is.
func (l *Log) readHeader(f File, number uint64) (s *segment, id uint64, damaged bool, err error) {
	b := make([]byte, 2*headerSize(maxPartitions))
	n, err := readFull(f, b)
	if err != nil {
		return nil, 0, false, err
	}
	b = b[:n]
	for off := 0; off < n; off += headerBlock {
		s, id, err := decodeHeader(b[off:])
		if errors.Is(err, errNewer) {
			return nil, 0, false, err
		}
		if err == nil && s.number == number && (off == 0 || int64(off) == headerSize(len(s.base))) {
			return s, id, off > 0, nil
		}
	}
	return nil, 0, true, nil
}

// formatOfGroup is formatOfHeader for a file whose headers are damaged: every
// group names the log.
func (l *Log) formatOfGroup(number uint64) (format, error) {
	f, err := l.opts.FS.Open(segmentName(l.dir, number), false)
	if err != nil {
		return format{}, err
	}
	defer f.Close()
	partitions := either(l.opts.Partitions, defaultPartitions)
	b := make([]byte, windowBytes)
	n, err := readFull(f, b)
	if err != nil {
		return format{}, err
	}
	for off := int64(headerBlock); off+groupHead <= int64(n); off += groupAlign {
		id := binary.LittleEndian.Uint64(b[off+8:])
		length, ok := headLength(b[off:], id, number, off, partitions)
		var h header
		if ok && off+length <= int64(n) && h.decode(b[off:off+length], off, partitions) {
			return newFormat(id, partitions), nil
		}
	}
	return format{}, nil
}

// openSegment adds the segment file to l.segs. Its footer tells what is in it;
// without a good one every byte is read.
func (l *Log) openSegment(number uint64, last bool) error {
	f, err := l.opts.FS.Open(segmentName(l.dir, number), last)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	s, id, damaged, err := l.readHeader(f, number)
	if err != nil {
		return err
	}
	readable := s != nil && id == l.id && len(s.base) == l.partitions
	if !readable {
		s = l.guessHeader(number)
	}
	if damaged || !readable {
		l.report(s, damage{bytes: headerSize(l.partitions)})
	}
	s.size = size
	l.follow(s)
	ok, err := s.readFooter(f, size, l.id)
	if err != nil {
		return err
	}
	if ok {
		s.sealed, s.marks = true, marks{} // read again when somebody seeks
	} else if err := l.salvage(f, s, readable, last); err != nil {
		return err
	}
	l.segs = append(l.segs, s)
	l.bytes += s.size
	return nil
}

// guessHeader stands in for a header that is damaged.
func (l *Log) guessHeader(number uint64) *segment {
	s := newSegment(number, make([]int64, l.partitions))
	if n := len(l.segs); n > 0 {
		s.base = slices.Clone(l.segs[n-1].next)
		s.next = slices.Clone(s.base)
		s.floor = l.segs[n-1].last
		s.last = s.floor
	}
	return s
}

// follow counts what is missing between the segments before s and s.
func (l *Log) follow(s *segment) {
	if len(l.segs) == 0 {
		return
	}
	var lost damage
	for p, seq := range l.segs[len(l.segs)-1].next {
		lost.records += max(0, s.base[p]-seq)
	}
	if lost.records > 0 {
		l.report(s, lost)
	}
}

// salvage surveys a segment without a footer. The last one is what a crash
// leaves: its torn tail is cut, and it is sealed.
func (l *Log) salvage(f File, s *segment, readable, last bool) error {
	w := walker{format: l.format, seg: s, win: window{file: f}}
	v, err := w.survey(s.size, last)
	if err != nil {
		return err
	}
	s.end, s.next, s.last, s.records = v.end, v.next, v.last, v.records
	s.youngest = v.last
	s.marks, s.indexed, s.sealed, s.auditedTo = v.marks, true, true, v.end
	s.counted = v.damage
	if v.damage != (damage{}) {
		l.report(s, v.damage)
	}
	if !last || !readable && v.records == 0 {
		return nil // never destroy what cannot be read
	}
	if cut := v.tail - v.end; cut > 0 {
		l.found.cut += cut
		l.found.torn += v.torn
		l.logger.Warn("log ends in a group that a crash cut short: cut", "segment", fileName(s), "bytes", cut, "records", v.torn)
	}
	if err := l.seal(f, s); err != nil {
		return err
	}
	return f.Sync() // at every level: what is cut must not come back
}

// seal ends the file behind the last group of s with a footer, durably. A full
// disk only costs the footer, and so a survey when the log is opened.
func (l *Log) seal(f File, s *segment) error {
	footer := s.encodeFooter(l.id)
	size := s.end + int64(len(footer))
	_, err := f.WriteAt(footer, s.end)
	if isNoSpace(err) {
		size, err = s.end, nil
	}
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	if l.opts.Level != Memory {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	s.size = size
	return nil
}

// create makes the file of a new segment durable, with its space reserved.
func (l *Log) create(number uint64, base []int64, floor, size int64) (*segment, File, error) {
	s := newSegment(number, slices.Clone(base))
	s.floor, s.last, s.youngest, s.size, s.indexed = floor, floor, floor, size, true
	name := segmentName(l.dir, number)
	f, err := l.opts.FS.Create(name + unfinished)
	if err != nil {
		return nil, nil, err
	}
	if err := l.fill(f, s, name); err != nil {
		f.Close()
		_ = l.opts.FS.Remove(name + unfinished) // else Open removes it
		return nil, nil, err
	}
	return s, f, nil
}

func (l *Log) fill(f File, s *segment, name string) error {
	if err := f.Allocate(s.size); err != nil {
		return err
	}
	if _, err := f.WriteAt(s.encodeHeader(l.id), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := l.opts.FS.Rename(name+unfinished, name); err != nil {
		return err
	}
	return l.opts.FS.SyncDir(l.dir)
}

// report counts damage and logs it. During Open nobody else is there; later the
// caller holds l.pub.
func (l *Log) report(s *segment, d damage) {
	l.found.add(d)
	l.logger.Error("log is damaged: set aside; restore the file from a copy if you have one",
		"segment", fileName(s), "bytes", d.bytes, "records", d.records)
}

func fileName(s *segment) string { return filepath.Base(segmentName("", s.number)) }
