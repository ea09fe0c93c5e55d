package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// Partitions implements eventlog.Reader.
func (l *Log) Partitions(context.Context) (int, error) { return l.partitions, nil }

// Read implements eventlog.Reader. An I/O error ends it: what a disk refuses to
// give is not taken for damage, since it may come back.
func (l *Log) Read(ctx context.Context, from, until eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		r := &reader{log: l, walker: walker{format: l.format}}
		if err := r.open(from, until); err != nil {
			yield(eventlog.Batch{}, err)
			return
		}
		defer r.close()
		if err := r.follow(ctx, yield); err != nil {
			yield(eventlog.Batch{}, err)
		}
	}
}

// A reader is one Read. It decodes what its window holds, delivers that, and
// only then moves the window on.
type reader struct {
	walker
	log     *Log
	follows []follow
	off     int64 // in the segment: the next group, or within group the next record
	group   header
	inside  bool  // of group, at run i
	i       int   // index of the run
	seq     int64 // the least sequence number of the next record of the run

	msgs    [][]telemetry.Message // decoded, by partition
	arena   []telemetry.Property
	decoded int

	limit  int64 // where the segment ended when it was last looked up
	sealed bool  // nothing comes behind limit

	through int64     // µs: the last that was given
	said    time.Time // when
}

const (
	// throughEvery is the least time between two rounds of empty batches.
	throughEvery = 100 * time.Millisecond
	// maxBatch bounds the messages of one round of batches.
	maxBatch = 4096
)

// errRemoved says that retention took a segment while a reader moved to it.
var errRemoved = errors.New("segment was removed")

func (r *reader) open(from, until eventlog.Positions) error {
	l := r.log
	r.msgs = make([][]telemetry.Message, l.partitions)
	for {
		l.pub.Lock()
		var err error
		if r.follows, err = l.resolve(from, until); err != nil {
			l.pub.Unlock()
			return err
		}
		s := l.begin(r.follows)
		l.pub.Unlock()
		f, err := l.acquire(s)
		if errors.Is(err, errRemoved) {
			continue
		}
		if err != nil {
			return err
		}
		r.move(s, f)
		r.off, err = l.seek(s, f, r.follows)
		if err != nil {
			r.close()
		}
		return err
	}
}

func (r *reader) move(s *segment, f File) {
	r.seg, r.off = s, s.start
	r.limit, r.sealed = 0, false
	r.win.reset(f)
}

func (r *reader) close() { r.log.release(r.seg) }

// acquire opens the file of s for a reader, or shares it.
func (l *Log) acquire(s *segment) (File, error) {
	l.files.Lock()
	defer l.files.Unlock()
	h := &s.handle
	if h.readers == 0 {
		if h.removed {
			return nil, errRemoved
		}
		f, err := l.opts.FS.Open(segmentName(l.dir, s.number), false)
		if err != nil {
			return nil, fmt.Errorf("eventlog/disk: opening %s: %w", fileName(s), err)
		}
		h.file = f
	}
	h.readers++
	return h.file, nil
}

func (l *Log) release(s *segment) {
	l.files.Lock()
	defer l.files.Unlock()
	h := &s.handle
	if h.readers--; h.readers == 0 {
		if err := h.file.Close(); err != nil {
			l.logger.Warn("closing a segment that was read", "segment", fileName(s), "error", err)
		}
		h.file = nil
	}
}

// follow delivers until everything is, an error comes, or yield has enough.
func (r *reader) follow(ctx context.Context, yield func(eventlog.Batch, error) bool) error {
	for r.unfinished() {
		idle, err := r.fill(ctx)
		if err != nil {
			return err
		}
		if !r.deliver(yield) {
			return nil
		}
		if idle && !r.rest(ctx, yield) {
			return nil
		}
	}
	return nil
}

// ended says why the read ends before all is delivered, nil if it goes on.
func (r *reader) ended(ctx context.Context) error {
	select {
	case <-r.log.closed:
		return cmp.Or(ctx.Err(), eventlog.ErrClosed)
	default:
		return ctx.Err()
	}
}

// unfinished tells whether a partition has not reached its end.
func (r *reader) unfinished() bool {
	for p := range r.follows {
		if r.follows[p].active {
			return true
		}
	}
	return false
}

// deliver yields what fill decoded.
func (r *reader) deliver(yield func(eventlog.Batch, error) bool) bool {
	for p, msgs := range r.msgs {
		if len(msgs) > 0 && !yield(eventlog.Batch{Partition: p, Messages: msgs}, nil) {
			return false
		}
	}
	return true
}

// fill decodes until something is, and no more of it is in the window. idle is
// true when everything durable is behind the reader.
func (r *reader) fill(ctx context.Context) (idle bool, err error) {
	for p := range r.msgs {
		r.msgs[p] = r.msgs[p][:0]
	}
	r.arena, r.decoded = r.arena[:0], 0
	for r.unfinished() {
		if r.decoded == 0 { // also where nothing is wanted for long
			if err := r.ended(ctx); err != nil {
				return false, err
			}
		}
		var full bool
		switch {
		case r.inside:
			full, err = r.records()
		case r.off < r.end():
			full, err = r.enter()
		case !r.sealed:
			return true, nil
		case r.decoded > 0: // points into the window of this file
			return false, nil
		default:
			var moved bool
			if moved, err = r.next(); !moved {
				return true, err
			}
		}
		if full || err != nil {
			return false, err
		}
	}
	return false, nil
}

// end returns where the durable groups of the segment end, as far as it needs
// to know.
func (r *reader) end() int64 {
	if r.off >= r.limit && !r.sealed {
		r.log.pub.Lock()
		r.limit, r.sealed = r.seg.end, r.seg.sealed
		r.log.pub.Unlock()
	}
	return r.limit
}

// next moves to the following segment, if there is one.
func (r *reader) next() (bool, error) {
	l := r.log
	for {
		s, err := r.following()
		if s == nil {
			return false, err
		}
		f, err := l.acquire(s)
		if errors.Is(err, errRemoved) {
			continue
		}
		if err != nil {
			return false, err
		}
		l.release(r.seg)
		r.move(s, f)
		return true, nil
	}
}

// following returns the segment behind the reader's, nil if it is the newest.
// Partitions that end before it are done.
func (r *reader) following() (*segment, error) {
	l := r.log
	l.pub.Lock()
	defer l.pub.Unlock()
	i := slices.IndexFunc(l.segs, func(s *segment) bool { return s.number > r.seg.number })
	if i < 0 {
		return nil, nil
	}
	s := l.segs[i]
	trimmed := i == 0 && s.number > r.seg.number+1
	for p := range r.follows {
		f := &r.follows[p]
		if f.end < s.base[p] || f.until <= s.floor {
			f.active = false
		}
		if f.active && trimmed && f.seq < s.base[p] {
			return nil, eventlog.ErrTrimmed{Partition: p, Oldest: s.base[p]}
		}
	}
	return s, nil
}

// enter reads the header of the group at the reader's offset. full is true when
// what is decoded must be delivered first.
func (r *reader) enter() (full bool, err error) {
	most := groupHead + runEntry*int64(r.partitions)
	if r.decoded > 0 && !r.win.has(r.off, min(most, r.limit-r.off)) {
		return true, nil
	}
	ok, err := r.header(&r.group, r.off, r.limit)
	if err != nil {
		return false, err
	}
	if !ok {
		if r.decoded > 0 {
			return true, nil
		}
		if err := r.log.audit(r.seg); err != nil {
			return false, err
		}
		r.off, err = r.nextGroup(r.off+groupAlign, r.limit)
		return false, err
	}
	for p := range r.follows {
		if r.follows[p].until <= r.group.first {
			r.follows[p].active = false
		}
	}
	r.inside = true
	r.toRun(0)
	return false, nil
}

// toRun moves to run i of the group, or behind the group.
func (r *reader) toRun(i int) {
	r.i = i
	if i == len(r.group.runs) {
		r.inside = false
		r.off = r.group.off + r.group.length
		return
	}
	r.off, r.seq = r.group.runs[i].off, r.group.runs[i].seq
}

// records decodes what the window holds of the group, as far as it is wanted.
func (r *reader) records() (full bool, err error) {
	for r.inside {
		run := r.group.runs[r.i]
		f := &r.follows[run.partition]
		f.active = f.active && run.seq <= f.end
		for f.active && run.seq+run.count > f.seq && r.off < run.end() {
			if full, err = r.one(run, f); full || err != nil {
				return full, err
			}
		}
		r.toRun(r.i + 1)
	}
	return false, nil
}

// one decodes the record at the reader's offset.
func (r *reader) one(run run, f *follow) (full bool, err error) {
	if r.decoded >= maxBatch || r.decoded > 0 && !r.holds(run) {
		return true, nil
	}
	b, ok, err := r.record(run, r.off, r.seq)
	if err != nil {
		return false, err
	}
	if !ok {
		if r.decoded > 0 {
			return true, nil
		}
		if err := r.log.audit(r.seg); err != nil {
			return false, err
		}
		r.off, err = r.nextRecord(run, r.off, r.seq)
		return false, err
	}
	r.off += int64(len(b))
	r.seq = recordSeq(b) + 1
	return false, r.decode(run.partition, f, b)
}

// holds tells whether the window has the record at the reader's offset, as far
// as its head tells how long it is.
func (r *reader) holds(run run) bool {
	if r.off+recordHead > run.end() {
		return true // damaged, whatever it is
	}
	if !r.win.has(r.off, recordHead) {
		return false
	}
	n := recordLength(r.win.bytes(r.off, recordHead))
	return r.off+n > run.end() || r.win.has(r.off, n)
}

func (r *reader) decode(partition int, f *follow, b []byte) error {
	seq, at := recordSeq(b), recordTime(b)
	if seq > f.end || at >= f.until {
		f.active = false
		return nil
	}
	if seq < f.seq || at < f.since {
		return nil
	}
	msgs := append(r.msgs[partition], telemetry.Message{})
	var ok bool
	if r.arena, ok = decodeRecord(b, partition, &msgs[len(msgs)-1], r.arena); !ok {
		return fmt.Errorf("eventlog/disk: %s: record %d of partition %d is whole but of an unknown form: use the version of weir that wrote it, or a newer one",
			fileName(r.seg), seq, partition)
	}
	r.msgs[partition] = msgs
	r.decoded++
	f.seq, f.since = seq+1, math.MinInt64
	f.active = seq < f.end
	return nil
}

// rest is what a reader does that has everything: it ends partitions whose end
// cannot come any more, gives Through, and waits. It is false when yield has
// enough.
func (r *reader) rest(ctx context.Context, yield func(eventlog.Batch, error) bool) bool {
	l := r.log
	l.pub.Lock()
	if r.off < r.seg.end || r.seg != l.segs[len(l.segs)-1] && r.seg.sealed {
		l.pub.Unlock()
		return true
	}
	through := l.time
	for p := range r.follows {
		f := &r.follows[p]
		if f.end < l.durable[p] || f.until <= through {
			f.active = false
		}
	}
	if l.wake == nil {
		l.wake = make(chan struct{})
	}
	wake := l.wake
	l.pub.Unlock()
	if !r.unfinished() {
		return true
	}
	if through > r.through && time.Since(r.said) >= throughEvery {
		r.through, r.said = through, time.Now()
		if !r.sayThrough(yield) {
			return false
		}
	}
	r.wait(ctx, wake, through)
	return true
}

func (r *reader) sayThrough(yield func(eventlog.Batch, error) bool) bool {
	for p := range r.follows {
		if r.follows[p].active && !yield(eventlog.Batch{Partition: p, Through: microTime(r.through)}, nil) {
			return false
		}
	}
	return true
}

// wait returns when there is more to read or to say. After Options.Idle it asks
// the writer to let time move on.
func (r *reader) wait(ctx context.Context, wake <-chan struct{}, through int64) {
	l := r.log
	d, beat := l.opts.Idle, true
	if through > r.through {
		d, beat = throughEvery-time.Since(r.said), false
	}
	if r.overdue() {
		notify(l.beat)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-wake:
	case <-ctx.Done():
	case <-l.closed:
	case <-t.C:
		if beat {
			notify(l.beat)
		}
	}
}

// overdue tells whether a partition ends at a time that has come.
func (r *reader) overdue() bool {
	now := r.log.opts.Now().UnixMicro()
	for p := range r.follows {
		if r.follows[p].active && r.follows[p].until <= now {
			return true
		}
	}
	return false
}

// audit counts the damage of a segment when a reader met some.
func (l *Log) audit(s *segment) error {
	l.auditing.Lock()
	defer l.auditing.Unlock()
	l.pub.Lock()
	limit, next := s.end, slices.Clone(s.next)
	l.pub.Unlock()
	if limit <= s.auditedTo {
		return nil
	}
	f, err := l.acquire(s)
	if err != nil {
		return err
	}
	defer l.release(s)
	w := walker{format: l.format, seg: s, win: window{file: f}}
	v, err := w.survey(limit, false)
	if err != nil {
		return err
	}
	for p := range next {
		v.damage.records += max(0, next[p]-v.next[p])
	}
	l.pub.Lock()
	defer l.pub.Unlock()
	if d := v.damage.minus(s.counted); d != (damage{}) {
		l.report(s, d)
	}
	s.counted, s.auditedTo = v.damage, limit
	return nil
}
