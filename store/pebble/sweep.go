package pebble

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/weir-iot/weir/internal/failpoint"
)

// sweepEvery runs until ctx ends.
func (s *Store) sweepEvery(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.m.sweepErrors.Inc()
			s.logger.Error("removing expired documents failed, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Sweep removes the days that have expired, and their files from the disk. It
// runs by itself; reads do not need it, as they check each document.
func (s *Store) Sweep(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if err := s.sweep.lock(ctx); err != nil {
		return err
	}
	defer s.sweep.unlock()
	now := s.now()
	s.mu.Lock()
	days := s.table.days()
	s.mu.Unlock()
	for _, day := range days {
		if expired(day, now) {
			if err := s.sweepDay(ctx, day); err != nil {
				return fmt.Errorf("store/pebble: sweeping day %d: %w", day, err)
			}
			s.rests = true
		}
	}
	some, err := s.sweepIndex(ctx, generation(dayOf(now)))
	if err != nil {
		return fmt.Errorf("store/pebble: sweeping the index of IDs: %w", err)
	}
	s.rests = s.rests || some
	if !s.rests {
		return nil
	}
	if err := s.rewriteRests(ctx); err != nil {
		return fmt.Errorf("store/pebble: freeing the space of expired documents: %w", err)
	}
	s.rests = false
	return nil
}

// rewriteRests compacts what is left of files that were cut: a few at the edges
// of the day, which would keep all of their space. A compaction around one key
// takes the files with that key and their overlap, not the whole range.
func (s *Store) rewriteRests(ctx context.Context) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return err
	}
	for level, tables := range levels {
		for _, t := range tables {
			if !t.Virtual {
				continue
			}
			key := t.Smallest.UserKey
			if level == len(levels)-1 {
				if err := s.touch(ctx, key); err != nil {
					return err
				}
			}
			if err := s.db.Compact(ctx, key, append(slices.Clone(key), 0), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// touch writes a key again as it is: Pebble leaves a file of the last level
// alone unless something above it overlaps.
func (s *Store) touch(ctx context.Context, key []byte) error {
	if err := s.write.lock(ctx); err != nil {
		return err
	}
	defer s.write.unlock()
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Delete(key, pebble.NoSync)
	}
	if err != nil {
		return err
	}
	return errors.Join(s.db.Set(key, value, pebble.NoSync), closer.Close())
}

// sweepIndex removes the generations before the given one: all their documents
// have expired. It reports whether there was anything.
func (s *Store) sweepIndex(ctx context.Context, live uint32) (some bool, err error) {
	if err := s.write.lock(ctx); err != nil {
		return false, err
	}
	defer s.write.unlock()
	span := pebble.KeyRange{Start: dayKey(kindIndex, 0), End: dayKey(kindIndex, live)}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: span.Start, UpperBound: span.End})
	if err != nil {
		return false, err
	}
	some = it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil || !some {
		return false, err
	}
	if err := s.db.Excise(ctx, span); err != nil {
		return true, err
	}
	s.ids.forget(live)
	return true, nil
}

// sweepDay cuts the day out of the files, which is durable at once and writes
// nothing; then it forgets the day's segments. A crash in between leaves
// segments without documents, for the next sweep.
func (s *Store) sweepDay(ctx context.Context, day uint32) error {
	if err := s.write.lock(ctx); err != nil {
		return err
	}
	defer s.write.unlock()
	failpoint.Hit("store/ttl-sweep")
	if err := s.db.Excise(ctx, pebble.KeyRange{Start: dayKey(kindDocument, day), End: dayKey(kindDocument, day+1)}); err != nil {
		return err
	}
	failpoint.Hit("store/ttl-sweep")
	if err := s.db.DeleteRange(dayKey(kindSegment, day), dayKey(kindSegment, day+1), pebble.NoSync); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.drop(day)
	s.m.days.Inc()
	return nil
}
