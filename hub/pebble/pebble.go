// Package pebble is a hub.Registry in one folder on disk. A write that
// returned nil outlives a power cut; writes at the same time share a sync. Keys
// of devices stand in the folder in clear text: Open makes it mode 0700. The
// format is written down in docs/formats/registry.md.
package pebble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/diskroom"
)

var errClosed = errors.New("hub/pebble: closed")

// Memory: a registry is small, and most of what is read is read once.
const (
	memTable  = 4 << 20
	cacheSize = 8 << 20
	openFiles = 256
	diskRoom  = 16 << 20 // bytes free with which a full disk is written to again
)

// Options configure a Registry; the zero value works.
type Options struct {
	FS     vfs.FS       // default: the disk
	Logger *slog.Logger // default: discards
}

// A Registry is made by Open.
type Registry struct {
	db *pebble.DB

	writing sync.Mutex // conditions and the order of writes; not held while waiting for the disk

	mu     sync.Mutex
	closed bool
	users  sync.WaitGroup // calls under way
}

var _ hub.Registry = (*Registry)(nil)

// Open opens or creates the registry in dir.
func Open(dir string, o Options) (*Registry, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("hub/pebble: open: %w", err)
		}
	}
	// A full disk is waited out until the end of the process: a write that waits
	// has been promised to nobody.
	fs := diskroom.Wait(context.Background(), o.FS, dir, "registry", diskRoom, o.Logger)
	db, err := pebble.Open(dir, &pebble.Options{
		FS: fs, Logger: logger{o.Logger},
		MemTableSize: memTable, CacheSize: cacheSize, MaxOpenFiles: openFiles,
		FormatMajorVersion: pebble.FormatNewest,
	})
	if pebble.IsCorruptionError(err) {
		return nil, fmt.Errorf("hub/pebble: open %s: it is damaged: %w: restore the folder from a copy, or move it away and give the devices their keys back with weir device import", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("hub/pebble: open %s: %w", dir, err)
	}
	if err := checkFormat(db); err != nil {
		return nil, errors.Join(fmt.Errorf("hub/pebble: open %s: %w", dir, err), db.Close())
	}
	return &Registry{db: db}, nil
}

// checkFormat refuses a registry of a later version.
func checkFormat(db *pebble.DB) error {
	got, err := read(db, formatKey)
	if err != nil {
		return err
	}
	if got == nil {
		return db.Set(formatKey, []byte(format), pebble.Sync)
	}
	if string(got) != format {
		return fmt.Errorf("its format is %q, this program knows %q: use the program that wrote it", got, format)
	}
	return nil
}

// Close waits for calls under way.
func (r *Registry) Close() error {
	r.mu.Lock()
	again := r.closed
	r.closed = true
	r.mu.Unlock()
	if again {
		return nil
	}
	r.users.Wait()
	return r.db.Close()
}

// enter is answered by r.users.Done.
func (r *Registry) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	r.users.Add(1)
	return nil
}

// read returns a copy of a value, nil if there is none.
func read(db *pebble.DB, key []byte) ([]byte, error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v = slices.Clone(v)
	return v, closer.Close()
}

// Device: see hub.Registry.
func (r *Registry) Device(ctx context.Context, id hub.ID) (*hub.Device, error) {
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	defer r.users.Done()
	v, err := read(r.db, idKey(kindDevice, id))
	if err != nil {
		return nil, fmt.Errorf("hub/pebble: device %s: %w", id, err)
	}
	if v == nil {
		return nil, id.NotFound()
	}
	return r.decodeDevice(id, v)
}

func (r *Registry) decodeDevice(id hub.ID, v []byte) (*hub.Device, error) {
	d := &hub.Device{}
	_, doc, err := splitETag(v)
	if err == nil {
		err = d.ReadStored(doc)
	}
	if err != nil {
		return nil, fmt.Errorf("hub/pebble: device %s: %w", id, err)
	}
	activity, err := read(r.db, idKey(kindActivity, id))
	if err != nil {
		return nil, fmt.Errorf("hub/pebble: activity of %s: %w", id, err)
	}
	decodeActivity(activity).Apply(d)
	return d, nil
}

// Twin: see hub.Registry.
func (r *Registry) Twin(ctx context.Context, id hub.ID) (*hub.Twin, error) {
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	defer r.users.Done()
	v, err := read(r.db, idKey(kindTwin, id))
	if err != nil {
		return nil, fmt.Errorf("hub/pebble: twin of %s: %w", id, err)
	}
	if v == nil {
		return nil, id.NotFound()
	}
	t := &hub.Twin{}
	_, doc, err := splitVersion(v)
	if err == nil {
		err = json.Unmarshal(doc, t)
	}
	if err != nil {
		return nil, fmt.Errorf("hub/pebble: twin of %s: %w", id, err)
	}
	return t, nil
}

// Devices: see hub.Registry.
func (r *Registry) Devices(ctx context.Context, after hub.ID) iter.Seq2[*hub.Device, error] {
	return func(yield func(*hub.Device, error) bool) {
		lower := append(idKey(kindDevice, after), 0) // the next possible key
		for kv, err := range r.scan(ctx, lower, []byte{kindDevice + 1}) {
			var d *hub.Device
			if err == nil {
				d, err = r.decodeDevice(splitID(kv.key), kv.value)
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// Entries: see hub.Registry.
func (r *Registry) Entries(ctx context.Context, queue string, from int64) iter.Seq2[hub.Entry, error] {
	lower, upper := entryKey(queue, from), queueEnd(queue)
	if queue == hub.AllQueues {
		lower, upper = []byte{kindEntry}, []byte{kindEntry + 1}
	}
	return func(yield func(hub.Entry, error) bool) {
		for kv, err := range r.scan(ctx, lower, upper) {
			var e hub.Entry
			if err == nil {
				e.Queue, e.Sequence, err = splitEntry(kv.key)
				e.Data = slices.Clone(kv.value)
			}
			if err == nil && e.Sequence < from {
				continue // of another queue, with AllQueues
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

type pair struct{ key, value []byte }

// scan yields what stands in [lower, upper), valid until the next step.
func (r *Registry) scan(ctx context.Context, lower, upper []byte) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		if err := r.enter(ctx); err != nil {
			yield(pair{}, err)
			return
		}
		defer r.users.Done()
		it, err := r.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(pair{}, fmt.Errorf("hub/pebble: scan: %w", err))
			return
		}
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.ValueAndErr()
			if err == nil {
				err = ctx.Err()
			}
			if !yield(pair{it.Key(), v}, err) || err != nil {
				_ = it.Close() // the error it has is the one just handed out
				return
			}
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			yield(pair{}, fmt.Errorf("hub/pebble: scan: %w", err))
		}
	}
}

// Write: see hub.Registry. Writers hold the lock while they check and append
// to the write-ahead log, then wait for its sync together.
func (r *Registry) Write(ctx context.Context, changes ...hub.Change) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.users.Done()
	b := r.db.NewBatch()
	defer b.Close()
	durable, err := r.apply(b, changes)
	if err != nil || !durable {
		return err
	}
	if err := b.SyncWait(); err != nil {
		return fmt.Errorf("hub/pebble: sync: %w", err)
	}
	return nil
}

// apply checks the conditions and writes the batch; if it is durable the
// caller must wait for the sync.
func (r *Registry) apply(b *pebble.Batch, changes []hub.Change) (durable bool, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	for _, c := range changes {
		if err := r.check(c); err != nil {
			return false, err
		}
	}
	for _, c := range changes {
		if err := r.put(b, c); err != nil {
			return false, fmt.Errorf("hub/pebble: write: %w", err)
		}
		if _, ok := c.(hub.PutActivity); !ok {
			durable = true
		}
	}
	if b.Empty() {
		return false, nil
	}
	if durable {
		err = r.db.ApplyNoSyncWait(b, pebble.Sync)
	} else {
		err = r.db.Apply(b, pebble.NoSync)
	}
	if err != nil {
		return false, fmt.Errorf("hub/pebble: write: %w", err)
	}
	return durable, nil
}

// check checks the condition of c.
func (r *Registry) check(c hub.Change) error {
	met := true
	var err error
	switch c := c.(type) {
	case hub.PutDevice:
		var etag string
		etag, err = r.etag(c.Device.ID())
		met = etag == c.If
	case hub.DeleteDevice:
		var etag string
		etag, err = r.etag(c.ID)
		met = c.If != "" && etag == c.If
	case hub.PutTwin:
		var version int64
		version, err = r.version(c.ID)
		met = version == c.If
	}
	if err != nil {
		return fmt.Errorf("hub/pebble: write: %w", err)
	}
	if !met {
		return hub.ErrPrecondition
	}
	return nil
}

func (r *Registry) etag(id hub.ID) (string, error) {
	v, err := read(r.db, idKey(kindDevice, id))
	if err != nil || v == nil {
		return "", err
	}
	etag, _, err := splitETag(v)
	return etag, err
}

func (r *Registry) version(id hub.ID) (int64, error) {
	v, err := read(r.db, idKey(kindTwin, id))
	if err != nil || v == nil {
		return 0, err
	}
	version, _, err := splitVersion(v)
	return version, err
}

func (r *Registry) put(b *pebble.Batch, c hub.Change) error {
	switch c := c.(type) {
	case hub.PutDevice:
		doc, err := json.Marshal(c.Device)
		if err != nil {
			return err
		}
		return b.Set(idKey(kindDevice, c.Device.ID()), joinETag(c.Device.ETag, doc), nil)
	case hub.PutTwin:
		doc, err := c.Twin.Stored()
		if err != nil {
			return err
		}
		return b.Set(idKey(kindTwin, c.ID), joinVersion(c.Twin.Version, doc), nil)
	case hub.DeleteDevice:
		return remove(b, c.ID)
	case hub.PutActivity:
		etag, err := r.etag(c.ID)
		if err != nil || etag == "" {
			return err
		}
		return b.Set(idKey(kindActivity, c.ID), encodeActivity(c.Activity), nil)
	case hub.PutEntry:
		return b.Set(entryKey(c.Entry.Queue, c.Entry.Sequence), c.Entry.Data, nil)
	case hub.DropEntry:
		return b.Delete(entryKey(c.Queue, c.Sequence), nil)
	}
	return fmt.Errorf("unknown change %T", c)
}
