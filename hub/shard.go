package hub

import (
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// A shard holds what is in memory of a part of the devices. Its lock is held
// for a few map accesses, never while waiting.
type shard struct {
	mu     sync.Mutex
	live   map[ID]*Session   // the one connected session of each
	idle   map[ID]Activity   // of sessions that ended, until it is written
	online map[ID]*awaited   // who waits for a device to take methods
	queues map[string]*queue // those with messages
}

func (h *Hub) shard(device string) *shard {
	return &h.shards[maphash.String(h.seed, device)%uint64(len(h.shards))]
}

// enlist makes s the live session of its ID and returns the one before it.
func (h *Hub) enlist(s *Session) (old *Session, err error) {
	sh := h.shard(s.id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if h.closed.Load() { // checked here, so that Close finds every session that was enlisted before
		return nil, ErrUnavailable
	}
	old = sh.live[s.id]
	if sh.live == nil {
		sh.live = map[ID]*Session{}
	}
	sh.live[s.id] = s
	delete(sh.idle, s.id)
	return old, nil
}

// withdraw ends what enlist began, unless a newer session took the place, and
// notes when s was last active.
func (h *Hub) withdraw(s *Session) {
	sh := h.shard(s.id.Device)
	now := h.stamp()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch current := sh.live[s.id]; {
	case current == s:
		delete(sh.live, s.id)
		sh.rest(s.id, Activity{s.lastActive(), now})
	case current == nil && s.receiver == nil:
		sh.rest(s.id, Activity{Last: s.lastActive()})
	case current != nil:
		current.touch(s.active.Load())
	}
}

// rest keeps a until it is written. A zero ConnectionStateUpdated says that it
// did not change.
func (sh *shard) rest(id ID, a Activity) {
	if sh.idle == nil {
		sh.idle = map[ID]Activity{}
	}
	if a.ConnectionStateUpdated.IsZero() {
		a.ConnectionStateUpdated = sh.idle[id].ConnectionStateUpdated
	}
	sh.idle[id] = a
}

// session returns the live session of id, or nil.
func (h *Hub) session(id ID) *Session {
	sh := h.shard(id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.live[id]
}

// sessions yields the live sessions, with no lock held.
func (h *Hub) sessions() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		var some []*Session
		for i := range h.shards {
			sh := &h.shards[i]
			sh.mu.Lock()
			some = slices.AppendSeq(some[:0], maps.Values(sh.live))
			sh.mu.Unlock()
			for _, s := range some {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// sessionsOf returns the live session of id and, of a device, those of its modules.
func (h *Hub) sessionsOf(id ID) []*Session {
	sh := h.shard(id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var found []*Session
	for other, s := range sh.live {
		if other == id || id.Module == "" && other.Device == id.Device {
			found = append(found, s)
		}
	}
	return found
}

// forgetActivity drops what waits to be written of an identity that is gone,
// and of its modules.
func (h *Hub) forgetActivity(id ID) {
	sh := h.shard(id.Device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	maps.DeleteFunc(sh.idle, func(other ID, _ Activity) bool {
		return other == id || id.Module == "" && other.Device == id.Device
	})
}

func (h *Hub) connected() (n int) {
	for i := range h.shards {
		h.shards[i].mu.Lock()
		n += len(h.shards[i].live)
		h.shards[i].mu.Unlock()
	}
	return n
}

// overlay sets what memory knows better than the registry.
func (h *Hub) overlay(d *Device) *Device {
	id := d.ID()
	d.ConnectionState = StateDisconnected
	sh := h.shard(id.Device)
	sh.mu.Lock()
	if s := sh.live[id]; s != nil {
		d.ConnectionState = StateConnected
		s.activity().Apply(d)
	} else if a, ok := sh.idle[id]; ok {
		a.over(d).Apply(d)
	}
	q := sh.queues[id.Device]
	sh.mu.Unlock()
	d.CloudToDeviceMessageCount = 0
	if q != nil && id.Module == "" {
		d.CloudToDeviceMessageCount = q.length()
	}
	return d
}

// over is a with what it does not tell from d.
func (a Activity) over(d *Device) Activity {
	if a.ConnectionStateUpdated.IsZero() {
		a.ConnectionStateUpdated = d.ConnectionStateUpdatedTime
	}
	return a
}

// maxFlush bounds the activities written at once.
const maxFlush = 1000

// flushActivity writes what changed since the last time, without a sync.
func (h *Hub) flushActivity(ctx context.Context) error {
	for i := range h.shards {
		changes := h.shards[i].changes()
		for some := range slices.Chunk(changes, maxFlush) {
			if err := h.writeActivities(ctx, some); err != nil {
				return err
			}
		}
		h.shards[i].written(changes)
	}
	return nil
}

func (h *Hub) writeActivities(ctx context.Context, some []Change) error {
	for i, c := range some {
		p := c.(PutActivity)
		if p.Activity.ConnectionStateUpdated.IsZero() {
			if d, err := h.registry.Device(ctx, p.ID); err == nil {
				p.Activity = p.Activity.over(d)
				some[i] = p
			}
		}
	}
	return h.registry.Write(ctx, some...)
}

func (sh *shard) changes() (changes []Change) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for id, a := range sh.idle {
		changes = append(changes, PutActivity{id, a})
	}
	for id, s := range sh.live {
		if active := s.active.Load(); active != s.flushed {
			s.flushed = active
			changes = append(changes, PutActivity{id, s.activity()})
		}
	}
	return changes
}

// written forgets what needs no second write.
func (sh *shard) written(changes []Change) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, c := range changes {
		p := c.(PutActivity)
		if a, ok := sh.idle[p.ID]; ok && a.coveredBy(p.Activity) {
			delete(sh.idle, p.ID)
		}
	}
}

// coveredBy says whether b tells all that a does.
func (a Activity) coveredBy(b Activity) bool {
	return a.Last.Equal(b.Last) &&
		(a.ConnectionStateUpdated.IsZero() || a.ConnectionStateUpdated.Equal(b.ConnectionStateUpdated))
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
