package pebble

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// ids is the index of IDs: it knows where each document with an ID of its
// sender was written last. New IDs are in a table in memory, and in a journal
// that is part of each batch, so that a start finds them again. When the table
// is full it becomes a run: its places in order of hash, by generation, cut
// into one list for each bucket of hashes. Lists of a bucket lie together,
// newest first. A filter for each generation says which IDs no run knows, so
// that an ID that is new, as most are, costs no look into the store.
//
// It is guarded by Store.write. Places are never removed alone: one that is out
// of date names a document that is not there, and does no harm.
type ids struct {
	key         [2]uint64
	table       idTable
	journaled   int    // places in the journal
	sequence    uint64 // of the journal's last entry; runs are numbered by it
	limit       int    // places in the journal that make a run
	filterBytes int
	filters     []*generationFilter // of the generations that have runs
	scratch     []byte
}

// A generationFilter is complete when it knows all runs of its generation:
// after a start they are read again.
type generationFilter struct {
	filter
	generation uint32
	complete   bool
}

const (
	buckets    = 4096
	bucketBits = 12
)

func journalKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindJournal}, sequence)
}

// bucketKey is the beginning of the keys of a bucket's lists; a list's own key
// has the inverted number of its run behind it.
func bucketKey(b []byte, generation uint32, bucket uint64) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindIndex), generation)
	return binary.BigEndian.AppendUint16(b, uint16(bucket))
}

const listKeySize = 1 + 4 + 2 + 8

func bucketOf(hash uint64) uint64 { return hash >> (64 - bucketBits) }

// of returns a place with nothing but the hash of device and ID.
func (x *ids) of(device, id string) place {
	x.scratch = append(append(append(x.scratch[:0], device...), 0), id...)
	lo, hi := sipHash(x.key, x.scratch)
	return place{hash: lo, check: uint32(hi)}
}

// setKey takes the hash's key, or makes one.
func (x *ids) setKey(value []byte) ([]byte, error) {
	if value == nil {
		value = make([]byte, 16)
		_, _ = rand.Read(value) // never fails
	}
	if len(value) != 16 {
		return nil, fmt.Errorf("the key of the IDs' hash with %d bytes is damaged", len(value))
	}
	x.key = [2]uint64{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}
	return value, nil
}

// replay takes an entry of the journal.
func (x *ids) replay(key, value []byte) error {
	if len(key) != 1+8 {
		return fmt.Errorf("journal entry %x is damaged", key)
	}
	x.sequence = binary.BigEndian.Uint64(key[1:])
	x.journaled += len(value) / placeSize
	return eachPlace(value, func(p *place) { x.table.put(*p) })
}

// journal adds places to a batch; applied makes them known once it is committed.
func (x *ids) journal(b *pebble.Batch, places []place) error {
	if len(places) == 0 {
		return nil
	}
	op := b.SetDeferred(1+8, len(places)*placeSize)
	copy(op.Key, journalKey(x.sequence+1))
	for i := range places {
		places[i].put(op.Value[i*placeSize:])
	}
	return op.Finish()
}

func (x *ids) applied(places []place) {
	if len(places) == 0 {
		return
	}
	x.sequence++
	x.journaled += len(places)
	for i := range places {
		x.table.put(places[i])
	}
}

func (x *ids) filterOf(generation uint32) *generationFilter {
	for _, f := range x.filters {
		if f.generation == generation {
			return f
		}
	}
	f := &generationFilter{generation: generation, complete: true}
	x.filters = append(x.filters, f)
	return f
}

// room is how large the filter f may be: a generation takes at most half, as
// two of them are alive with one time to live.
func (x *ids) room(f *generationFilter) int {
	rest := x.filterBytes
	for _, other := range x.filters {
		if other != f {
			rest -= other.bytes
		}
	}
	return min(rest, x.filterBytes/2)
}

// forget drops the generations before live.
func (x *ids) forget(live uint32) {
	x.filters = slices.DeleteFunc(x.filters, func(f *generationFilter) bool { return f.generation < live })
}

// writeRun makes a run of the table. It runs under Store.write.
func (s *Store) writeRun() error {
	x := &s.ids
	number := x.sequence
	slices.SortFunc(x.table.places, comparePlaces)
	b := s.db.NewBatchWithSize(len(x.table.places)*(placeSize+1) + buckets*listKeySize)
	byGeneration := s.splitRun(x.table.places)
	var err error
	for generation, places := range byGeneration {
		for len(places) > 0 && err == nil {
			n := 1
			for n < len(places) && bucketOf(places[n].hash) == bucketOf(places[0].hash) {
				n++
			}
			err = putList(b, generation, number, places[:n])
			places = places[n:]
		}
	}
	err = errors.Join(err, b.DeleteRange(journalKey(0), journalKey(number), nil), b.Set(journalKey(number), nil, nil))
	if err == nil {
		err = b.Commit(pebble.NoSync)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		x.table.reindex()
		return fmt.Errorf("store/pebble: writing a run of IDs: %w", err)
	}
	for generation, places := range byGeneration {
		f := x.filterOf(generation)
		f.reserve(len(places), x.room(f))
		for i := range places {
			f.add(&places[i])
		}
	}
	x.journaled = 0
	x.table.reset()
	return nil
}

// splitRun puts the places of each generation together, in order. Those of
// segments that are gone are left out.
func (s *Store) splitRun(places []place) map[uint32][]place {
	s.mu.Lock()
	defer s.mu.Unlock()
	split := make(map[uint32][]place)
	for _, p := range places {
		if day, ok := s.table.dayOf(p.segment); ok {
			split[generation(day)] = append(split[generation(day)], p)
		}
	}
	return split
}

func putList(b *pebble.Batch, generation uint32, number uint64, places []place) error {
	op := b.SetDeferred(listKeySize, len(places)*placeSize)
	key := bucketKey(op.Key[:0], generation, bucketOf(places[0].hash))
	binary.BigEndian.AppendUint64(key, ^number)
	for i := range places {
		places[i].put(op.Value[i*placeSize:])
	}
	return op.Finish()
}

// findIn looks for p in the runs of a generation, newest first.
func findIn(it *pebble.Iterator, key []byte, generation uint32, p *place) (found place, ok bool, err error) {
	key = bucketKey(key[:0], generation, bucketOf(p.hash))
	for more := it.SeekGE(key); more && bytes.HasPrefix(it.Key(), key); more = it.Next() {
		list, err := it.ValueAndErr()
		if err != nil {
			return place{}, false, err
		}
		if found, ok := searchPlaces(list, p); ok {
			return found, true, nil
		}
	}
	return place{}, false, it.Error()
}

// openRuns finds the generations that have runs. Their filters are to be filled.
func (s *Store) openRuns() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindIndex}, UpperBound: []byte{kindIndex + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		g := binary.BigEndian.Uint32(it.Key()[1:])
		f := s.ids.filterOf(g)
		f.complete = false
		f.reserve(s.table.named(g), s.ids.room(f))
		ok = it.SeekGE(binary.BigEndian.AppendUint32([]byte{kindIndex}, g+1))
	}
	return errors.Join(it.Error(), it.Close())
}

// learnCache is what the cache of blocks may have while the runs are read: all
// of them go by once, and would only push out what is read again.
const learnCache = 4 << 20

// learn fills the filters after a start. Until it is through, each ID of the
// generations with runs is looked for.
func (s *Store) learn(ctx context.Context, filters []*generationFilter, cache *pebble.Cache) {
	defer cache.Reserve(int(max(0, cache.MaxSize()-learnCache)))()
	for _, f := range filters {
		if err := s.learnGeneration(ctx, f); err != nil && ctx.Err() == nil {
			s.logger.Error("reading the index of IDs failed: looking for each ID until the next start", "error", err)
		}
	}
}

// learnAtOnce is how many IDs the filter takes while an Upsert waits.
const learnAtOnce = 4096

func (s *Store) learnGeneration(ctx context.Context, f *generationFilter) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: dayKey(kindIndex, f.generation), UpperBound: dayKey(kindIndex, f.generation+1)})
	if err != nil {
		return err
	}
	var some []place
	give := func() error {
		if err := s.write.lock(ctx); err != nil {
			return err
		}
		defer s.write.unlock()
		f.reserve(len(some), s.ids.room(f))
		for i := range some {
			f.add(&some[i])
		}
		some = some[:0]
		return nil
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var list []byte
		if list, err = it.ValueAndErr(); err == nil {
			err = eachPlace(list, func(p *place) { some = append(some, *p) })
		}
		if err == nil && len(some) >= learnAtOnce {
			err = give()
		}
	}
	if err = errors.Join(err, it.Error()); err == nil {
		err = give()
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return err
	}
	if err := s.write.lock(ctx); err != nil {
		return err
	}
	defer s.write.unlock()
	f.complete = true
	return nil
}
