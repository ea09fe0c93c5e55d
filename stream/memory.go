package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// A memory is what a function OVER (…) keeps of the rows of one partition key.
type memory interface {
	// next returns the value of the function for a row of time t, which is not
	// before that of the last one. Where keep is false, WHEN does not hold: the
	// row is not remembered, and args[0] is not known. After an error it is not
	// remembered either.
	next(t saql.Ticks, args []saql.Value, keep bool) (saql.Value, error)
	// append appends the state; equal states give equal bytes.
	append(b []byte) []byte
	// restore replaces the state.
	restore(r *reader)
}

// memories holds a memory per partition key, in the order of their last rows. A
// key that had no row for longer than idle is forgotten when any other one has
// a row, so that the state depends on the rows alone.
type memories struct {
	idle   saql.Ticks
	create func() memory

	byKey          map[string]*keyMemory
	oldest, newest *keyMemory
}

type keyMemory struct {
	memory
	key          string
	last         saql.Ticks // time of the last row
	older, newer *keyMemory
}

func newMemories(idle saql.Ticks, create func() memory) *memories {
	return &memories{idle: idle, create: create, byKey: make(map[string]*keyMemory)}
}

// of returns the memory of a key for a row of time t.
func (m *memories) of(key []byte, t saql.Ticks) memory {
	for m.oldest != nil && m.oldest.last < t-m.idle {
		delete(m.byKey, m.oldest.key)
		m.unlink(m.oldest)
	}
	k := m.byKey[string(key)]
	switch {
	case k == nil:
		k = &keyMemory{memory: m.create(), key: string(key)}
		m.byKey[k.key] = k
		m.link(k)
	case k != m.newest:
		m.unlink(k)
		m.link(k)
	}
	k.last = t
	return k.memory
}

// link puts k behind the newest.
func (m *memories) link(k *keyMemory) {
	k.older, k.newer = m.newest, nil
	if m.newest == nil {
		m.oldest = k
	} else {
		m.newest.newer = k
	}
	m.newest = k
}

func (m *memories) unlink(k *keyMemory) {
	if k.older == nil {
		m.oldest = k.newer
	} else {
		k.older.newer = k.newer
	}
	if k.newer == nil {
		m.newest = k.older
	} else {
		k.newer.older = k.older
	}
}

// append appends the number of keys, then of each, the idlest first: the key,
// the time of its last row, its memory.
func (m *memories) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.byKey)))
	for k := m.oldest; k != nil; k = k.newer {
		b = appendText(b, k.key)
		b = binary.AppendVarint(b, int64(k.last))
		b = k.memory.append(b)
	}
	return b
}

func (m *memories) restore(r *reader) {
	restored := newMemories(m.idle, m.create)
	for range r.count() {
		k := &keyMemory{memory: m.create(), key: r.text(), last: r.ticks()}
		k.memory.restore(r)
		restored.byKey[k.key] = k
		restored.link(k)
	}
	*m = *restored
}
