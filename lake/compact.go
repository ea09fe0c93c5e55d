package lake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/weir-iot/weir/internal/failpoint"
)

// CompactOptions say which days are compacted. The zero value works.
type CompactOptions struct {
	// Before is the first day that is not; zero is today, in UTC.
	Before time.Time
	// FileSize is about the size of the files that a day becomes, in bytes; 0 is 128 MB.
	FileSize int64
	// Progress, if not nil, is called after each commit.
	Progress func(CompactStats)
}

// CompactStats say what a compaction did.
type CompactStats struct {
	Days, FilesBefore, FilesAfter int
	Rows, BytesBefore, BytesAfter int64
}

const (
	// mergeFiles is how many files are open at a time.
	mergeFiles = 32
	// freshFiles of at most freshSize bytes are merged on the day itself.
	freshFiles = 16
	freshSize  = 16 << 20
	// compacted is the value of sortedTag of files that need no more of it.
	compacted = "1"
)

// Compact rewrites each past day once: into few files, sorted by device and
// time, each of other devices, with hourly aggregates, which become one file
// for each past month. Of today's files it merges small ones. The rows stay the
// same (dataChange is false). It commits as it goes, so that it may be cut off
// at any time and goes on with the next call.
func (t *Table) Compact(ctx context.Context, opts CompactOptions) (CompactStats, error) {
	if opts.Before.IsZero() {
		opts.Before = t.opts.Now().UTC().Truncate(24 * time.Hour)
	}
	if opts.FileSize <= 0 {
		opts.FileSize = 128 << 20
	}
	s, err := t.Snapshot(ctx)
	if err != nil {
		return CompactStats{}, err
	}
	c := &compaction{t: t, s: s, opts: opts}
	for _, day := range s.days() {
		compact := c.day
		if !day.Before(opts.Before) {
			compact = c.fresh
		}
		if err := compact(ctx, day); err != nil {
			return c.stats, fmt.Errorf("lake: compacting %s: %w", day.Format(time.DateOnly), err)
		}
	}
	if err := c.months(ctx); err != nil {
		return c.stats, fmt.Errorf("lake: aggregating a month: %w", err)
	}
	return c.stats, nil
}

// days returns the days that have files, ascending.
func (s *Snapshot) days() (days []time.Time) {
	for _, f := range s.Files() {
		if !f.Day.IsZero() && (len(days) == 0 || !days[len(days)-1].Equal(f.Day)) {
			days = append(days, f.Day)
		}
	}
	return days
}

type compaction struct {
	t     *Table
	s     *Snapshot
	opts  CompactOptions
	stats CompactStats
}

// day merges the smallest files until the rest can be merged at a time.
func (c *compaction) day(ctx context.Context, day time.Time) error {
	for {
		files := sortedFiles(c.s.Files())
		files = slices.DeleteFunc(files, func(f *File) bool { return !f.Day.Equal(day) })
		if !slices.ContainsFunc(files, func(f *File) bool { return f.add.Tags[sortedTag] != compacted }) {
			return nil
		}
		last := len(files) <= mergeFiles
		if !last {
			slices.SortStableFunc(files, func(a, b *File) int { return cmp.Compare(a.Bytes, b.Bytes) })
			files = files[:min(mergeFiles, len(files)-mergeFiles+1)]
		}
		if err := c.merge(ctx, day, files, last); err != nil {
			return err
		}
		if last {
			c.stats.Days++
		}
		if c.opts.Progress != nil {
			c.opts.Progress(c.stats)
		}
	}
}

// fresh merges small files of a day that still grows, so that a device's last
// hours are in few.
func (c *compaction) fresh(ctx context.Context, day time.Time) error {
	for {
		files := slices.DeleteFunc(sortedFiles(c.s.Files()), func(f *File) bool { return !f.Day.Equal(day) || f.Bytes >= freshSize })
		if len(files) < freshFiles {
			return nil
		}
		slices.SortStableFunc(files, func(a, b *File) int { return cmp.Compare(a.Bytes, b.Bytes) })
		if err := c.merge(ctx, day, files[:freshFiles], false); err != nil {
			return err
		}
	}
}

// merge replaces files by what they are together, in one commit.
func (c *compaction) merge(ctx context.Context, day time.Time, files []*File, last bool) error {
	out, err := c.rewrite(ctx, day, files, last)
	if err != nil {
		c.t.discardAll(ctx, out)
		return err
	}
	failpoint.Hit("lake-compacted")
	s, err := c.t.commit(ctx, "OPTIMIZE", c.s, func(s *Snapshot) ([]action, error) {
		if s.files[out[0].Path] != nil {
			return nil, nil // our commit it was, whose answer was lost
		}
		return c.replace(s, files, out)
	})
	if errors.Is(err, ErrConflict) {
		c.t.discardAll(ctx, out)
	}
	if err != nil {
		return err
	}
	c.s = s
	for _, f := range files {
		c.stats.FilesBefore++
		c.stats.BytesBefore += f.Bytes
		c.stats.Rows += f.Rows
	}
	for _, a := range out {
		c.stats.FilesAfter++
		c.stats.BytesAfter += a.Size
	}
	return nil
}

func (c *compaction) replace(s *Snapshot, files []*File, out []add) (all []action, err error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	for _, f := range files {
		if s.files[f.Path] == nil {
			return nil, fmt.Errorf("%w: %s is gone", ErrConflict, f.Path)
		}
		all = append(all, f.removal(c.t.opts.Now(), false))
	}
	for i := range out {
		out[i].ModificationTime = c.t.opts.Now().UnixMilli()
		all = append(all, action{Add: &out[i]})
	}
	return all, nil
}

// removal is the action that takes a file out of the table.
func (f *File) removal(now time.Time, dataChange bool) action {
	return action{Remove: &remove{
		Path: f.add.Path, DeletionTimestamp: now.UnixMilli(), DataChange: dataChange,
		ExtendedFileMetadata: true, PartitionValues: f.add.PartitionValues, Size: f.Bytes,
	}}
}

// discardAll deletes files and their aggregates.
func (t *Table) discardAll(ctx context.Context, files []add) {
	t.discard(ctx, files)
	for _, f := range files {
		if series := f.Tags[seriesTag]; series != "" {
			t.discard(ctx, []add{{Path: series}})
		}
	}
}

// rewrite writes the rows of files to new ones; the last merge of a day splits
// them by size, between devices, and aggregates.
func (c *compaction) rewrite(ctx context.Context, day time.Time, files []*File, last bool) (out []add, err error) {
	m, err := c.t.openMerge(ctx, c.s, files)
	if err != nil {
		return nil, err
	}
	defer m.close()
	w := &splitWriter{c: c, ctx: ctx, m: m, day: day, last: last}
	if err = m.each(ctx, w.take); err == nil {
		err = w.finish()
	}
	if err != nil {
		w.abort()
	}
	return w.out, err
}

// A splitWriter writes sorted rows to files, one after the other.
type splitWriter struct {
	c    *compaction
	ctx  context.Context
	m    *merge
	day  time.Time
	last bool
	out  []add

	file   *upload
	pager  *pager
	series *upload // the aggregates of the file
	hourly *hourly
	device []byte // of the last row
}

func (w *splitWriter) take(values [][]parquet.Value, from, to int) error {
	for from < to {
		n := to - from
		if w.full() {
			n = w.rest(values, from, to)
		}
		if n == 0 {
			if err := w.finish(); err != nil {
				return err
			}
			continue
		}
		w.begin()
		if err := w.pager.take(values, from, from+n); err != nil {
			return err
		}
		if w.hourly != nil {
			if err := w.hourly.take(values, from, from+n); err != nil {
				return err
			}
		}
		from += n
		w.device = append(w.device[:0], values[deviceAt][from-1].ByteArray()...)
	}
	return nil
}

func (w *splitWriter) full() bool {
	return w.last && w.file != nil && w.file.size.Load() >= w.c.opts.FileSize
}

// rest returns how many rows are of the device that the file ends with.
func (w *splitWriter) rest(values [][]parquet.Value, from, to int) (n int) {
	for from+n < to && bytes.Equal(values[deviceAt][from+n].ByteArray(), w.device) {
		n++
	}
	return n
}

func (w *splitWriter) begin() {
	if w.file != nil {
		return
	}
	w.file = w.c.t.upload(w.ctx, w.c.t.fileName(w.day))
	w.pager = newPager(newFileWriter(w.file, w.m.columns), pageRowsOf(len(w.m.columns)))
	if w.last {
		w.series = w.c.t.upload(w.ctx, seriesFolder+w.file.path)
		w.hourly = newHourly(w.file.path, w.m.columns, newFileWriter(w.series, hourlyColumns))
	}
}

// finish completes the file at hand.
func (w *splitWriter) finish() error {
	if w.file == nil {
		return nil
	}
	a := add{Path: w.file.path, PartitionValues: partitionValues(w.day), Tags: map[string]string{sortedTag: "0"}}
	err := w.pager.flush()
	if err == nil {
		err = w.pager.out.close()
	}
	if err == nil {
		a.Stats, err = w.pager.out.statistics()
	}
	if err = w.file.close(err); err != nil {
		return err
	}
	a.Size = w.file.size.Load()
	w.file = nil
	if w.last {
		a.Tags[sortedTag] = compacted
		err = w.finishSeries(&a)
	}
	w.out = append(w.out, a)
	return err
}

// finishSeries completes the aggregates of a file.
func (w *splitWriter) finishSeries(a *add) error {
	err := w.hourly.close()
	if err == nil {
		err = w.hourly.pager.out.close()
	}
	if w.hourly.tooMany {
		err = errAborted
	}
	err = w.series.close(err)
	if err == nil {
		a.Tags[seriesTag] = w.series.path
	} else if w.hourly.tooMany {
		err = nil // the rows are read instead
	}
	w.series, w.hourly = nil, nil
	return err
}

func (w *splitWriter) abort() {
	if w.file != nil {
		_ = w.file.close(errAborted)
	}
	if w.series != nil {
		_ = w.series.close(errAborted)
	}
}
