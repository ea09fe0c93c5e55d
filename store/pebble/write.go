package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/weir-iot/weir/store"
)

// A row is a document on its way into a batch.
type row struct {
	doc  *store.Document
	nano int64
	next int32 // the next row of the same device, -1 for none
	gone bool  // a later document of the batch has the same ID
}

type group struct {
	device      string
	first, last int32
}

// rows put the documents of a batch in the order of their keys: Pebble takes
// sorted keys for half the price, in its table in memory and past it. Grouping
// by device and sorting the few devices is far cheaper than sorting all keys,
// as the documents of one device come in order of time.
type rows struct {
	all    []row
	groups []group
	index  map[string]int32 // device → place in groups
	ids    map[string]int32 // of one device: ID → place in run
	run    []row            // the rows of one device
}

// reset takes the documents of a new batch.
func (r *rows) reset(docs []store.Document) {
	r.all, r.groups = slices.Grow(r.all[:0], len(docs)), r.groups[:0]
	if r.index == nil {
		r.index, r.ids = make(map[string]int32), make(map[string]int32)
	}
	clear(r.index)
	at := int32(-1)
	for i := range docs {
		d := &docs[i]
		if at < 0 || r.groups[at].device != d.DeviceID {
			at = r.groupOf(d.DeviceID)
		}
		g := &r.groups[at]
		if g.last >= 0 {
			r.all[g.last].next = int32(i)
		} else {
			g.first = int32(i)
		}
		g.last = int32(i)
		r.all = append(r.all, row{doc: d, nano: d.Time.UnixNano(), next: -1})
	}
	slices.SortFunc(r.groups, func(a, b group) int { return strings.Compare(a.device, b.device) })
}

func (r *rows) groupOf(device string) int32 {
	at, ok := r.index[device]
	if !ok {
		at = int32(len(r.groups))
		r.index[device] = at
		r.groups = append(r.groups, group{device: device, first: -1, last: -1})
	}
	return at
}

// of returns the rows of a group in the order of their keys. Of documents with
// the same ID all but the last are marked as gone.
func (r *rows) of(g group) []row {
	r.run = r.run[:0]
	clear(r.ids)
	rising := true
	for i := g.first; i >= 0; i = r.all[i].next {
		x := r.all[i]
		if n := len(r.run); n > 0 && compareRows(r.run[n-1], x) >= 0 {
			rising = false
		}
		if !x.doc.Generated {
			if before, ok := r.ids[x.doc.ID]; ok {
				r.run[before].gone = true
			}
			r.ids[x.doc.ID] = int32(len(r.run))
		}
		r.run = append(r.run, x)
	}
	if rising {
		slices.Reverse(r.run)
	} else {
		slices.SortStableFunc(r.run, func(a, b row) int { return compareRows(b, a) })
	}
	return r.run
}

func compareRows(a, b row) int {
	if n := cmp.Compare(a.nano, b.nano); n != 0 {
		return n
	}
	return strings.Compare(a.doc.ID, b.doc.ID)
}

// Upsert implements store.Store.
func (s *Store) Upsert(ctx context.Context, docs []store.Document, marks ...store.Mark) error {
	size := 0
	for i := range docs {
		if err := docs[i].Check(); err != nil {
			return fmt.Errorf("store/pebble: upserting: %w", err)
		}
		size += entrySize(&docs[i])
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.write.lock(ctx); err != nil {
		return err
	}
	b := s.db.NewBatchWithSize(size + 64*len(marks) + 1024)
	w := &writer{s: s, b: b, now: s.now(), marks: slices.Clone(marks), places: s.places[:0]}
	if err := errors.Join(w.fill(docs), w.closeRuns()); err != nil {
		s.write.unlock()
		return fmt.Errorf("store/pebble: upserting %d documents: %w", len(docs), errors.Join(err, b.Close()))
	}
	if err := s.detach(ctx, func() error {
		defer s.write.unlock()
		return w.commit()
	}); err != nil {
		return fmt.Errorf("store/pebble: upserting %d documents: %w", len(docs), err)
	}
	return nil
}

// commit writes the batch. It may wait for long: while the disk is full, or
// tables are written more slowly than documents come.
func (w *writer) commit() error {
	var err error
	if !w.b.Empty() {
		err = w.b.Commit(pebble.NoSync)
	}
	if err = errors.Join(err, w.b.Close()); err != nil {
		return err
	}
	w.done()
	w.s.ids.applied(w.places)
	w.s.places = w.places
	if w.s.ids.journaled >= w.s.ids.limit {
		return w.s.writeRun()
	}
	return nil
}

// fill makes the batch.
func (w *writer) fill(docs []store.Document) error {
	err := w.documents(docs)
	if err == nil {
		err = w.s.ids.journal(w.b, w.places)
	}
	if err == nil {
		err = w.putMarks()
	}
	return err
}

// entrySize bounds what a document takes in a batch.
func entrySize(d *store.Document) int {
	const overhead = 16 // of the batch: kind, lengths
	n := segmentKeySize + len(d.DeviceID) + 1 + suffixSize(d.ID) + valueSize(d) + overhead
	if !d.Generated {
		n += placeSize
	}
	return n
}

// A writer fills the batch of one Upsert. It runs under Store.write.
type writer struct {
	s   *Store
	b   *pebble.Batch
	now time.Time

	marks                       []store.Mark
	runs                        *pebble.Iterator // of IDs, once one is looked for
	places                      []place          // of the documents with IDs of senders
	touched                     []*segment       // that get documents
	current                     *segment
	documentsN, replaced, stale int
	key, value                  []byte
}

// documents adds all that have not expired.
func (w *writer) documents(docs []store.Document) error {
	r := &w.s.rows
	r.reset(docs)
	defer clear(r.all) // no document is kept
	for _, g := range r.groups {
		for _, x := range r.of(g) {
			if x.gone {
				continue
			}
			if err := w.document(x.doc, x.nano); err != nil {
				return err
			}
		}
	}
	for _, g := range w.touched {
		w.s.mu.Lock()
		w.value = g.value(w.value[:0])
		w.s.mu.Unlock()
		if err := w.b.Set(segmentKey(kindSegment, g.day, g.number), w.value, nil); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) document(d *store.Document, nano int64) error {
	var p place
	if !d.Generated {
		var err error
		if p, err = w.forget(d); err != nil {
			return err
		}
	}
	if d.Expired(w.now) {
		w.stale++
		return nil
	}
	w.documentsN++
	keySize := segmentKeySize + len(d.DeviceID) + 1 + suffixSize(d.ID)
	vSize := valueSize(d)
	g := w.segment(d, nano, keySize+vSize)
	op := w.b.SetDeferred(keySize, vSize)
	key := documentPrefix(op.Key[:0], g.day, g.number, d.DeviceID)
	suffix(key, nano, d.ID)
	putValue(op.Value, d)
	if !d.Generated {
		p.segment, p.nano = g.number, nano
		w.places = append(w.places, p)
	}
	return op.Finish()
}

// forget deletes the document that has the same ID, wherever it is. A deletion
// in front of a Set of the same key in the same batch does no harm, nor does
// one of what is not there.
func (w *writer) forget(d *store.Document) (place, error) {
	x := &w.s.ids
	p := x.of(d.DeviceID, d.ID)
	if found, ok := x.table.find(&p); ok {
		return p, w.remove(d, &found)
	}
	for _, f := range x.filters {
		if f.complete && !f.has(&p) {
			continue
		}
		if err := w.openRuns(); err != nil {
			return p, err
		}
		found, ok, err := findIn(w.runs, w.key, f.generation, &p)
		if ok {
			err = w.remove(d, &found)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// openRuns opens the runs as they were before the batch: one iterator for all
// look-ups costs a fraction of one for each.
func (w *writer) openRuns() (err error) {
	if w.runs == nil {
		w.runs, err = w.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindIndex}, UpperBound: []byte{kindIndex + 1}})
	}
	return err
}

func (w *writer) closeRuns() error {
	if w.runs == nil {
		return nil
	}
	return w.runs.Close()
}

// remove deletes the document with d's ID at that place.
func (w *writer) remove(d *store.Document, at *place) error {
	w.s.mu.Lock()
	day, ok := w.s.table.dayOf(at.segment)
	w.s.mu.Unlock()
	if !ok {
		return nil // it has expired, and was swept
	}
	w.replaced++
	w.key = documentPrefix(w.key[:0], day, at.segment, d.DeviceID)
	w.key = suffix(w.key, at.nano, d.ID)
	return w.b.Delete(w.key, nil)
}

// segment returns where the document goes and notes it there. It is known to
// readers before the batch is: they may look in vain, but never miss anything.
func (w *writer) segment(d *store.Document, nano int64, size int) *segment {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if day := dayOf(d.Expires); w.current == nil || w.current.day != day {
		w.current = w.s.table.open(day)
		if !slices.Contains(w.touched, w.current) {
			w.touched = append(w.touched, w.current)
		}
	}
	w.s.table.grow(w.current, nano, size, !d.Generated)
	return w.current
}

// putMarks adds the marks that go up.
func (w *writer) putMarks() error {
	for _, m := range w.marks {
		key := markKey(m.Consumer, m.Shard)
		w.s.mu.Lock()
		old, ok := w.s.marks[string(key)]
		w.s.mu.Unlock()
		if ok && m.Ordinal <= old {
			continue
		}
		w.value = binary.BigEndian.AppendUint64(w.value[:0], uint64(m.Ordinal))
		if err := w.b.Set(key, w.value, nil); err != nil {
			return err
		}
	}
	return nil
}

// done makes the marks of a committed batch known and counts.
func (w *writer) done() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for _, m := range w.marks {
		key := string(markKey(m.Consumer, m.Shard))
		if old, ok := w.s.marks[key]; !ok || m.Ordinal > old {
			w.s.marks[key] = m.Ordinal
		}
	}
	w.s.m.documents.Add(float64(w.documentsN))
	w.s.m.replaced.Add(float64(w.replaced))
	w.s.m.expired.Add(float64(w.stale))
}
