// Package mem is a hub.Registry in memory: for tests, and the measure of what
// every engine must do. It promises everything but durability.
package mem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/weir-iot/weir/hub"
)

var errClosed = errors.New("hub/mem: closed")

// A Registry is made by New.
type Registry struct {
	mu      sync.RWMutex
	closed  bool
	records map[hub.ID]*record
	queues  map[string]map[int64][]byte
}

var _ hub.Registry = (*Registry)(nil)

// record keeps JSON, so that nobody shares memory with it.
type record struct {
	etag         string
	device, twin []byte
	version      int64 // of the twin; 0: there is none
	activity     hub.Activity
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{records: map[hub.ID]*record{}, queues: map[string]map[int64][]byte{}}
}

// Close ends the use of r.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

func (r *Registry) get(id hub.ID) (record, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return record{}, errClosed
	}
	rec, ok := r.records[id]
	if !ok {
		return record{}, id.NotFound()
	}
	return *rec, nil
}

// Device: see hub.Registry.
func (r *Registry) Device(_ context.Context, id hub.ID) (*hub.Device, error) {
	rec, err := r.get(id)
	if err != nil {
		return nil, err
	}
	d := &hub.Device{}
	if err := d.ReadStored(rec.device); err != nil {
		return nil, fmt.Errorf("hub/mem: device %s: %w", id, err)
	}
	rec.activity.Apply(d)
	return d, nil
}

// Twin: see hub.Registry.
func (r *Registry) Twin(_ context.Context, id hub.ID) (*hub.Twin, error) {
	rec, err := r.get(id)
	if err == nil && rec.version == 0 {
		err = id.NotFound()
	}
	if err != nil {
		return nil, err
	}
	t := &hub.Twin{}
	if err := json.Unmarshal(rec.twin, t); err != nil {
		return nil, fmt.Errorf("hub/mem: twin of %s: %w", id, err)
	}
	return t, nil
}

// Devices: see hub.Registry.
func (r *Registry) Devices(ctx context.Context, after hub.ID) iter.Seq2[*hub.Device, error] {
	return func(yield func(*hub.Device, error) bool) {
		for _, id := range r.ids() {
			if id.Compare(after) <= 0 {
				continue
			}
			d, err := r.Device(ctx, id)
			if errors.Is(err, id.NotFound()) {
				continue // deleted meanwhile
			}
			if err == nil {
				err = ctx.Err()
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

func (r *Registry) ids() []hub.ID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(r.records), hub.ID.Compare)
}

// Entries: see hub.Registry.
func (r *Registry) Entries(ctx context.Context, queue string, from int64) iter.Seq2[hub.Entry, error] {
	return func(yield func(hub.Entry, error) bool) {
		for _, e := range r.entries(queue, from) {
			err := ctx.Err()
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (r *Registry) entries(queue string, from int64) []hub.Entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []hub.Entry
	for _, name := range slices.Sorted(maps.Keys(r.queues)) {
		if queue != hub.AllQueues && name != queue {
			continue
		}
		for _, seq := range slices.Sorted(maps.Keys(r.queues[name])) {
			if seq >= from {
				found = append(found, hub.Entry{Queue: name, Sequence: seq, Data: slices.Clone(r.queues[name][seq])})
			}
		}
	}
	return found
}

// Write: see hub.Registry.
func (r *Registry) Write(ctx context.Context, changes ...hub.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	for _, c := range changes {
		if !r.allowed(c) {
			return hub.ErrPrecondition
		}
	}
	apply := make([]func(), 0, len(changes))
	for _, c := range changes {
		f, err := r.prepare(c)
		if err != nil {
			return err
		}
		apply = append(apply, f)
	}
	for _, f := range apply {
		f()
	}
	return nil
}

// allowed checks the condition of c.
func (r *Registry) allowed(c hub.Change) bool {
	switch c := c.(type) {
	case hub.PutDevice:
		return r.etag(c.Device.ID()) == c.If
	case hub.DeleteDevice:
		return c.If != "" && r.etag(c.ID) == c.If
	case hub.PutTwin:
		rec, ok := r.records[c.ID]
		return c.If == 0 && !ok || ok && rec.version == c.If
	}
	return true
}

func (r *Registry) etag(id hub.ID) string {
	if rec, ok := r.records[id]; ok {
		return rec.etag
	}
	return ""
}

// prepare does what can fail and returns what cannot.
func (r *Registry) prepare(c hub.Change) (func(), error) {
	switch c := c.(type) {
	case hub.PutDevice:
		b, err := json.Marshal(c.Device)
		id, etag := c.Device.ID(), c.Device.ETag
		return func() { rec := r.record(id); rec.device, rec.etag = b, etag }, err
	case hub.PutTwin:
		b, err := c.Twin.Stored()
		return func() { rec := r.record(c.ID); rec.twin, rec.version = b, c.Twin.Version }, err
	case hub.DeleteDevice:
		return func() { r.remove(c.ID) }, nil
	case hub.PutActivity:
		return func() {
			if rec, ok := r.records[c.ID]; ok {
				rec.activity = c.Activity
			}
		}, nil
	case hub.PutEntry:
		return func() {
			if r.queues[c.Entry.Queue] == nil {
				r.queues[c.Entry.Queue] = map[int64][]byte{}
			}
			r.queues[c.Entry.Queue][c.Entry.Sequence] = slices.Clone(c.Entry.Data)
		}, nil
	case hub.DropEntry:
		return func() { delete(r.queues[c.Queue], c.Sequence) }, nil
	}
	return nil, fmt.Errorf("hub/mem: unknown change %T", c)
}

func (r *Registry) record(id hub.ID) *record {
	rec, ok := r.records[id]
	if !ok {
		rec = &record{}
		r.records[id] = rec
	}
	return rec
}

func (r *Registry) remove(id hub.ID) {
	if id.Module != "" {
		delete(r.records, id)
		return
	}
	maps.DeleteFunc(r.records, func(other hub.ID, _ *record) bool { return other.Device == id.Device })
	delete(r.queues, id.Device)
}
