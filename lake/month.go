package lake

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// months brings the hourly aggregates of each past month into one file, so that
// a series of years opens few.
func (c *compaction) months(ctx context.Context) error {
	for _, month := range c.s.months() {
		if month.AddDate(0, 1, 0).After(c.opts.Before) {
			return nil
		}
		if err := c.month(ctx, month); err != nil {
			return err
		}
	}
	return nil
}

// months returns the first days of the months that have files, ascending.
func (s *Snapshot) months() (months []time.Time) {
	for _, day := range s.days() {
		if m := day.AddDate(0, 0, 1-day.Day()); len(months) == 0 || !months[len(months)-1].Equal(m) {
			months = append(months, m)
		}
	}
	return months
}

// monthly returns the files of a month that have aggregates, and where these are.
func (s *Snapshot) monthly(month time.Time) (files []*File, series []string) {
	for _, f := range s.Files() {
		path := f.add.Tags[seriesTag]
		if path == "" || f.Day.Before(month) || !f.Day.Before(month.AddDate(0, 1, 0)) {
			continue
		}
		files = append(files, f)
		if !slices.Contains(series, path) {
			series = append(series, path)
		}
	}
	return files, series
}

// month writes the aggregates of a month to one file and tags its files with it.
func (c *compaction) month(ctx context.Context, month time.Time) error {
	for {
		files, series := c.s.monthly(month)
		if len(series) < 2 {
			return nil
		}
		if len(series) > mergeFiles { // some now, the others in the next round
			series = series[:mergeFiles]
			files = slices.DeleteFunc(files, func(f *File) bool { return !slices.Contains(series, f.add.Tags[seriesTag]) })
		}
		path := seriesFolder + month.Format("year=2006/month=01/") + filePrefix + newIDAt(c.t.opts.Now()) + fileSuffix
		if err := c.mergeHourly(ctx, path, series, files); err != nil {
			return err
		}
		s, err := c.t.commit(ctx, "OPTIMIZE", c.s, func(s *Snapshot) ([]action, error) { return c.retag(s, files, path) })
		if err != nil {
			return err
		}
		c.s = s
	}
}

// retag adds files once more, with other aggregates.
func (c *compaction) retag(s *Snapshot, files []*File, path string) (all []action, err error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	for _, f := range files {
		now := s.files[f.Path]
		switch {
		case now == nil:
			return nil, fmt.Errorf("%w: %s is gone", ErrConflict, f.Path)
		case now.add.Tags[seriesTag] == path:
			return nil, nil // our commit it was, whose answer was lost
		}
		a := now.add
		a.DataChange = false
		a.Tags = map[string]string{sortedTag: a.Tags[sortedTag], seriesTag: path}
		all = append(all, action{Add: &a})
	}
	return all, nil
}

// mergeHourly writes the aggregates of files to one.
func (c *compaction) mergeHourly(ctx context.Context, path string, series []string, files []*File) error {
	m, err := c.t.openHourly(ctx, series)
	if err != nil {
		return err
	}
	defer m.close()
	sources := map[string]bool{}
	for _, f := range files {
		sources[f.Path] = true
	}
	_, err = c.t.writeFile(ctx, path, hourlyColumns, func(out *fileWriter) error {
		p := newPager(out, hourlyPage)
		err := m.each(ctx, func(values [][]parquet.Value, from, to int) error {
			for row := from; row < to; row++ {
				if !sources[string(values[sourceAt][row].ByteArray())] {
					continue // of a file that left the table since
				}
				if err := p.take(values, row, row+1); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		return p.flush()
	})
	return err
}
