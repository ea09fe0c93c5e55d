package pebble

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/weir-iot/weir/store"
)

// Read implements store.Store. It sees what was there when it began. Segments
// are looked into one after the other, newest first, and several at once only
// where their times overlap. A read that is not ended keeps removed files on
// the disk.
func (s *Store) Read(ctx context.Context, r store.Range) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		if err := s.enter(ctx); err != nil {
			yield(store.Document{}, err)
			return
		}
		defer s.leave()
		m, err := s.merge(ctx, r)
		if err == nil {
			for err == nil && m.best != nil {
				if !yield(m.doc, nil) {
					m.close()
					return
				}
				err = m.next()
			}
			err = errors.Join(err, m.close())
		}
		if err != nil {
			yield(store.Document{}, fmt.Errorf("store/pebble: reading device %s: %w", r.DeviceID, err))
		}
	}
}

// A cursor stands on a document in one segment.
type cursor struct {
	segment segment
	it      *pebble.Iterator
	suffix  []byte // of the key it stands on
	prefix  int    // length of the key in front of it
}

// A merger merges the segments of one read.
type merger struct {
	ctx          context.Context
	device       string
	now          time.Time
	lower, upper []byte // suffixes: the first and behind the last
	left, limit  int
	base         *pebble.Iterator // whose view of the store all share
	idle         []*pebble.Iterator
	waiting      []segment // not looked into yet: the one with the newest document last
	active       []*cursor
	best         *cursor // stands on doc; nil at the end
	doc          store.Document
	last         []byte // suffix of what was seen last
	key          []byte
}

// bounds translates r to suffixes and times; ok is false if nothing can match.
func bounds(r store.Range) (lower []byte, lo, hi int64, ok bool) {
	lo, hi = math.MinInt64+1, math.MaxInt64
	if !r.From.IsZero() {
		lo = clamp(r.From)
	}
	if !r.To.IsZero() {
		hi = clamp(r.To) - 1
	}
	lower = binary.BigEndian.AppendUint64(nil, invertTime(hi))
	if r.Before != (store.Cursor{}) {
		at := clamp(r.Before.Time)
		behind := append(suffix(nil, at, r.Before.ID), 0)
		if bytes.Compare(behind, lower) > 0 {
			lower, hi = behind, at
		}
	}
	return lower, lo, hi, lo <= hi
}

func clamp(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, math.MinInt64+1)):
		return math.MinInt64 + 1
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// merge begins a read and stands on its first document.
func (s *Store) merge(ctx context.Context, r store.Range) (*merger, error) {
	m := &merger{ctx: ctx, device: r.DeviceID, now: s.now(), limit: r.Limit}
	lower, lo, hi, ok := bounds(r)
	if !ok || r.DeviceID == "" || bytes.IndexByte([]byte(r.DeviceID), 0) >= 0 {
		return m, nil
	}
	m.lower, m.upper = lower, binary.BigEndian.AppendUint64(nil, invertTime(lo-1))
	var err error
	if m.base, err = s.db.NewIter(nil); err != nil {
		return nil, err
	}
	// The view comes first, the segments after it: then they know of all in it.
	s.mu.Lock()
	m.waiting = s.table.between(nil, lo, hi)
	s.mu.Unlock()
	slices.SortFunc(m.waiting, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.max, b.max), cmp.Compare(a.number, b.number))
	})
	if err := m.settle(); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// next goes behind the document it stands on.
func (m *merger) next() error {
	if err := m.advance(m.best); err != nil {
		return err
	}
	return m.settle()
}

// settle finds the next document that is to be seen.
func (m *merger) settle() error {
	for m.best = nil; m.limit == 0 || m.left < m.limit; {
		if err := m.ctx.Err(); err != nil { // also among many that have expired
			return err
		}
		if err := m.pick(); err != nil || m.best == nil {
			return err
		}
		again := bytes.Equal(m.best.suffix, m.last) // a second copy of a generated document
		m.last = append(m.last[:0], m.best.suffix...)
		if !again {
			value, err := m.best.it.ValueAndErr()
			if err != nil {
				return err
			}
			if !parseValue(value, &m.doc) {
				return fmt.Errorf("the value at %x is damaged", m.best.it.Key())
			}
			if !m.doc.Expired(m.now) {
				m.doc.DeviceID, m.doc.ID = m.device, suffixID(m.last)
				m.doc.Time = time.Unix(0, suffixTime(m.last)).UTC()
				m.left++
				return nil
			}
		}
		if err := m.advance(m.best); err != nil {
			return err
		}
	}
	m.best = nil
	return nil
}

// pick sets best to the cursor on the newest document, after it has looked
// into every segment that may have a newer one. Of equal ones the younger
// segment's is the one that was written last.
func (m *merger) pick() error {
	for {
		m.best = nil
		for _, c := range m.active {
			if m.best == nil {
				m.best = c
				continue
			}
			n := bytes.Compare(c.suffix, m.best.suffix)
			if n < 0 || n == 0 && c.segment.number > m.best.segment.number {
				m.best = c
			}
		}
		n := len(m.waiting)
		if n == 0 || m.best != nil && suffixTime(m.best.suffix) > m.waiting[n-1].max {
			return nil
		}
		g := m.waiting[n-1]
		m.waiting = m.waiting[:n-1]
		if err := m.open(g); err != nil {
			return err
		}
	}
}

// open looks into a segment; if the device has nothing there in range, the
// iterator serves for the next one.
func (m *merger) open(g segment) error {
	it, err := m.iterator()
	if err != nil {
		return err
	}
	m.key = documentPrefix(m.key[:0], g.day, g.number, m.device)
	c := &cursor{segment: g, it: it, prefix: len(m.key)}
	m.active = append(m.active, c)
	upper := append(m.key[:c.prefix:c.prefix], m.upper...)
	m.key = append(m.key, m.lower...)
	it.SetBounds(m.key, upper)
	return m.stand(c, it.SeekPrefixGE(m.key))
}

func (m *merger) iterator() (*pebble.Iterator, error) {
	if n := len(m.idle); n > 0 {
		it := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return it, nil
	}
	return m.base.Clone(pebble.CloneOptions{})
}

func (m *merger) advance(c *cursor) error { return m.stand(c, c.it.Next()) }

// stand notes where c is after a move, or takes it out at its end.
func (m *merger) stand(c *cursor, valid bool) error {
	if valid {
		c.suffix = c.it.Key()[c.prefix:]
		return nil
	}
	m.active = slices.DeleteFunc(m.active, func(a *cursor) bool { return a == c })
	m.idle = append(m.idle, c.it)
	return c.it.Error()
}

func (m *merger) close() error {
	var errs []error
	for _, c := range m.active {
		errs = append(errs, c.it.Close())
	}
	for _, it := range m.idle {
		errs = append(errs, it.Close())
	}
	if m.base != nil {
		errs = append(errs, m.base.Close())
	}
	m.active, m.idle, m.base = nil, nil, nil
	return errors.Join(errs...)
}
