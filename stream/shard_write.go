package stream

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/internal/failpoint"
	"github.com/weir-iot/weir/store"
)

// write writes what was made, in the order of the outputs' names.
func (s *shard) write(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(s.writers)) {
		if err := s.writeTo(ctx, s.writers[name]); err != nil {
			return err
		}
	}
	return nil
}

func (s *shard) writeTo(ctx context.Context, w *writer) error {
	if len(w.rows) == 0 {
		return nil
	}
	if err := s.writeRows(ctx, w, w.rows); err != nil {
		return err
	}
	w.written()
	failpoint.Hit("job/after-write")
	return nil
}

// writeRows writes rows until the output has them. What it refuses for good is
// found by halving.
func (s *shard) writeRows(ctx context.Context, w *writer, rows []OutputRow) error {
	err := s.retry(ctx, "writing to the output "+w.shard.Output, func() error {
		err := w.out.Write(ctx, w.shard, rows)
		if errors.Is(err, ErrRefused) && len(rows) == 1 && !s.job.o.DropRefused {
			return errWaits{err}
		}
		return err
	})
	var waits errWaits
	switch half := len(rows) / 2; {
	case err == nil:
		w.has = rows[len(rows)-1].Ordinal
		return nil
	case !errors.Is(err, ErrRefused), errors.As(err, &waits): // the latter at the end of ctx
		return err
	case half > 0:
		if err := s.writeRows(ctx, w, rows[:half]); err != nil {
			return err
		}
		return s.writeRows(ctx, w, rows[half:])
	default:
		return s.refused(ctx, w, rows[0], err)
	}
}

// errWaits makes retry wait on what it would not try again.
type errWaits struct{ error }

func (e errWaits) Unwrap() error { return e.error }

// refused keeps a row that its output does not take as a dead letter. When that
// comes depends on the output, so it has no place among the ordinals of dead
// letters, but that of the row.
func (s *shard) refused(ctx context.Context, w *writer, row OutputRow, why error) error {
	s.job.stats.deadLetters.Add(1)
	s.job.note(slog.LevelWarn, causeWrite, "an output refuses a row; it is kept as a dead letter", "output", w.shard.Output, "error", why)
	if s.job.o.Dead == nil || w == s.dead {
		return nil
	}
	data, err := s.job.deadJSON(&DeadLetter{Cause: causeWrite, Reason: why.Error(), Output: w.shard.Output, Body: row.Data})
	if err != nil {
		return err
	}
	at := w.shard
	at.Output = deadOutput + "-" + at.Output
	row.Data = data
	return s.retry(ctx, "writing dead letters", func() error { return s.job.o.Dead.Write(ctx, at, []OutputRow{row}) })
}

// retry runs f until it succeeds, with waits that grow; it gives up when ctx
// ends or when another try cannot help.
func (s *shard) retry(ctx context.Context, doing string, f func() error) error {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		err := f()
		if err == nil {
			s.job.stats.recovered(attempt{doing, s.index})
			return nil
		}
		var waits errWaits
		final := !errors.As(err, &waits) && errors.Is(err, ErrRefused)
		for _, target := range []error{blob.ErrChanged, store.ErrClosed, eventlog.ErrClosed} {
			final = final || errors.Is(err, target)
		}
		if final || ctx.Err() != nil {
			return err
		}
		s.trouble(doing, err)
		if !sleep(ctx, jitter(wait)) {
			return err
		}
	}
}

// trouble shows an error that is tried again; one that repeats is logged once.
func (s *shard) trouble(doing string, err error) {
	if s.job.stats.trouble(attempt{doing, s.index}, err) {
		s.job.o.Logger.Error(doing+" failed, will try again", "job", s.job.o.Name, "error", err)
	}
}
