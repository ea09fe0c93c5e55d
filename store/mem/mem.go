// Package mem is the store in memory: for tests and for the contract to have a
// plain reading. It keeps what every engine keeps, but nothing after the
// process ends, and Flush does nothing.
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

// device holds the documents of one device, oldest first, and when each ID was.
type device struct {
	docs []store.Document
	at   map[string]time.Time
}

// Store is a store.Store.
type Store struct {
	now func() time.Time

	mu      sync.RWMutex
	closed  bool
	devices map[string]*device
	marks   map[markKey]int64
}

var _ store.Store = (*Store)(nil)

// New returns an empty store that takes the time from now; nil is time.Now.
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, devices: make(map[string]*device), marks: make(map[markKey]int64)}
}

func byCursor(d store.Document, c store.Cursor) int {
	own := d.Cursor()
	return own.Compare(c)
}

func (d *device) put(doc store.Document) {
	if at, ok := d.at[doc.ID]; ok {
		if i, ok := slices.BinarySearchFunc(d.docs, store.Cursor{Time: at, ID: doc.ID}, byCursor); ok {
			d.docs = slices.Delete(d.docs, i, i+1)
		}
	}
	i, _ := slices.BinarySearchFunc(d.docs, doc.Cursor(), byCursor)
	d.docs = slices.Insert(d.docs, i, doc)
	d.at[doc.ID] = doc.Time
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
			d = &device{at: make(map[string]time.Time)}
			s.devices[doc.DeviceID] = d
		}
		doc.Data = slices.Clone(doc.Data)
		doc.Time = doc.Time.UTC()
		if !doc.Expires.IsZero() {
			doc.Expires = doc.Expires.UTC()
		}
		d.put(doc)
	}
	for _, m := range marks {
		k := markKey{m.Consumer, m.Shard}
		if old, ok := s.marks[k]; !ok || m.Ordinal > old {
			s.marks[k] = m.Ordinal
		}
	}
	return nil
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
	s.devices, s.marks = nil, nil
	return nil
}
