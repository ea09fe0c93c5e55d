// Package mem is the store in memory: for tests and for the contract to have a
// plain reading. It keeps what every engine keeps, but nothing after the
// process ends, and Flush does nothing. It is bounded: beyond its size the
// documents that came in first leave first, whoever's they are.
package mem

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/weir-iot/weir/store"
)

type markKey struct {
	consumer string
	shard    int
}

// DefaultBytes is the size of a store that New makes, see NewSized.
const DefaultBytes = 256 << 20

// overhead is about what a document costs beside its ID and data: its places
// in the device's slice and map and in the order of arrival.
const overhead = 320

// place is where a document is among its device's, and when it came in.
type place struct {
	time    time.Time
	arrival int64
}

// device holds the documents of one device, oldest first, and the place of each ID.
type device struct {
	docs []store.Document
	at   map[string]place
}

// An arrival is one upsert, in the order of which documents leave. A document
// that was replaced has a later one as well; the earlier is then of no account.
type arrival struct {
	deviceID, id string
	size         int64 // bytes, overhead included; counted until the arrival is dropped
}

// Store is a store.Store.
type Store struct {
	now func() time.Time

	mu      sync.RWMutex
	closed  bool
	devices map[string]*device
	marks   map[markKey]int64

	// arrivals are those from number first on; their sizes add up to bytes.
	arrivals   []arrival
	first      int64
	bytes, max int64
}

var _ store.Store = (*Store)(nil)

// New returns an empty store of DefaultBytes that takes the time from now; nil
// is time.Now.
func New(now func() time.Time) *Store { return NewSized(now, DefaultBytes) }

// NewSized returns an empty store of about max bytes, what documents cost beside
// their data included. The newest document is kept whatever its size.
func NewSized(now func() time.Time, max int64) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, devices: make(map[string]*device), marks: make(map[markKey]int64), max: max}
}

func byCursor(d store.Document, c store.Cursor) int {
	own := d.Cursor()
	return own.Compare(c)
}

func (d *device) put(doc store.Document, arrival int64) {
	d.remove(doc.ID)
	i, _ := slices.BinarySearchFunc(d.docs, doc.Cursor(), byCursor)
	d.docs = slices.Insert(d.docs, i, doc)
	d.at[doc.ID] = place{doc.Time, arrival}
}

func (d *device) remove(id string) {
	at, ok := d.at[id]
	if !ok {
		return
	}
	delete(d.at, id)
	i, ok := slices.BinarySearchFunc(d.docs, store.Cursor{Time: at.time, ID: id}, byCursor)
	switch {
	case ok && i == 0: // the usual one to leave: nothing moves
		d.docs[0] = store.Document{}
		d.docs = d.docs[1:]
	case ok:
		d.docs = slices.Delete(d.docs, i, i+1)
	}
}

// sweep drops what has expired.
func (d *device) sweep(now time.Time) {
	d.docs = slices.DeleteFunc(d.docs, func(doc store.Document) bool {
		if doc.Expired(now) {
			delete(d.at, doc.ID)
			return true
		}
		return false
	})
}

// Upsert implements store.Store.
func (s *Store) Upsert(ctx context.Context, docs []store.Document, marks ...store.Mark) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range docs {
		if err := docs[i].Check(); err != nil {
			return fmt.Errorf("store/mem: upserting: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	for _, doc := range docs {
		d := s.devices[doc.DeviceID]
		if d == nil {
			d = &device{at: make(map[string]place)}
			s.devices[doc.DeviceID] = d
		}
		doc.Data = slices.Clone(doc.Data)
		doc.Time = doc.Time.UTC()
		if !doc.Expires.IsZero() {
			doc.Expires = doc.Expires.UTC()
		}
		d.put(doc, s.first+int64(len(s.arrivals)))
		s.arrived(doc)
	}
	for _, m := range marks {
		k := markKey{m.Consumer, m.Shard}
		if old, ok := s.marks[k]; !ok || m.Ordinal > old {
			s.marks[k] = m.Ordinal
		}
	}
	return nil
}

// arrived counts doc, and drops what came in first beyond the bound.
func (s *Store) arrived(doc store.Document) {
	a := arrival{doc.DeviceID, doc.ID, overhead + int64(len(doc.ID)+len(doc.Data))}
	s.arrivals = append(s.arrivals, a)
	s.bytes += a.size
	for s.bytes > s.max && len(s.arrivals) > 1 {
		old := s.arrivals[0]
		if d := s.devices[old.deviceID]; d != nil {
			if at, ok := d.at[old.id]; ok && at.arrival == s.first {
				d.remove(old.id)
			}
			if len(d.docs) == 0 {
				delete(s.devices, old.deviceID)
			}
		}
		s.arrivals[0] = arrival{}
		s.arrivals = s.arrivals[1:]
		s.first++
		s.bytes -= old.size
	}
}

// Mark implements store.Store.
func (s *Store) Mark(ctx context.Context, consumer string, shard int) (int64, error) {
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return -1, store.ErrClosed
	}
	if n, ok := s.marks[markKey{consumer, shard}]; ok {
		return n, nil
	}
	return -1, nil
}

// Read implements store.Store. It yields a copy of what was there when it began.
func (s *Store) Read(ctx context.Context, r store.Range) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		docs, err := s.find(r)
		if err != nil {
			yield(store.Document{}, err)
			return
		}
		for _, doc := range docs {
			if err := ctx.Err(); err != nil {
				yield(store.Document{}, err)
				return
			}
			if !yield(doc, nil) {
				return
			}
		}
	}
}

func (s *Store) find(r store.Range) (found []store.Document, err error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	d := s.devices[r.DeviceID]
	if d == nil {
		return nil, nil
	}
	d.sweep(now)
	for _, doc := range slices.Backward(d.docs) {
		if doc.Time.Before(r.From) || r.Limit > 0 && len(found) == r.Limit {
			break
		}
		after := r.Before != (store.Cursor{}) && doc.Cursor().Compare(r.Before) >= 0
		if !after && (r.To.IsZero() || doc.Time.Before(r.To)) {
			found = append(found, doc)
		}
	}
	return found, nil
}

// Flush implements store.Store.
func (s *Store) Flush(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	return ctx.Err()
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.devices, s.marks, s.arrivals = nil, nil, nil
	return nil
}
