package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/stream"
)

// marks keeps how far the rows of shards went to a target that does not keep
// marks itself: one object of a bucket for each shard.
type marks struct {
	bucket blob.Bucket
	saving sync.Mutex // held by save: an older mark must not be put over a newer one

	mu    sync.Mutex
	at    map[stream.Shard]mark
	dirty map[stream.Shard]bool // not saved yet
}

// A mark is what the bucket has of a shard.
type mark struct {
	Ordinal stream.Ordinal `json:"ordinal"`
	Place   int64          `json:"place,omitempty"` // where the target stood: see the output
}

func newMarks(b blob.Bucket) *marks {
	return &marks{bucket: b, at: make(map[stream.Shard]mark), dirty: make(map[stream.Shard]bool)}
}

func (m *marks) object(s stream.Shard) string {
	// In the folder that goes with the job; an alias may have any characters.
	return fmt.Sprintf("jobs/%s/marks/%s/%x/%04d", s.Job, s.Generation, s.Output, s.Shard)
}

// load returns the mark of a shard; found says that there is one.
func (m *marks) load(ctx context.Context, s stream.Shard) (at mark, found bool, err error) {
	m.mu.Lock()
	at, found = m.at[s]
	m.mu.Unlock()
	if found {
		return at, true, nil
	}
	data, _, err := blob.Read(ctx, m.bucket, m.object(s))
	if errors.Is(err, blob.ErrNotExist) {
		return mark{Ordinal: stream.None}, false, nil
	}
	if err != nil {
		return mark{}, false, err
	}
	if err := json.Unmarshal(data, &at); err != nil {
		return mark{}, false, fmt.Errorf("output: reading the mark of %s of job %s: %w", s.Output, s.Job, err)
	}
	m.mu.Lock()
	m.at[s] = at
	m.mu.Unlock()
	return at, true, nil
}

// set notes a mark; it is saved by the next save.
func (m *marks) set(s stream.Shard, at mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at[s] = at
	m.dirty[s] = true
}

// save makes all marks durable.
func (m *marks) save(ctx context.Context) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	dirty := make(map[stream.Shard]mark, len(m.dirty))
	for s := range m.dirty {
		dirty[s] = m.at[s]
	}
	m.mu.Unlock()
	for s, at := range dirty {
		data, err := json.Marshal(at)
		if err != nil {
			return err
		}
		if err := m.bucket.Put(ctx, m.object(s), bytes.NewReader(data)); err != nil {
			return err
		}
		m.mu.Lock()
		if m.at[s] == at {
			delete(m.dirty, s)
		}
		m.mu.Unlock()
	}
	return nil
}
