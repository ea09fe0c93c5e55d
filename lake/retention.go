package lake

import (
	"context"
	"fmt"
	"time"
)

// A Retention says which days stay in the table. The zero value keeps all.
type Retention struct {
	Age   time.Duration // days that ended before that leave; 0 keeps them
	Bytes int64         // the oldest days leave until the rest is no larger; 0 keeps them
}

// Retain takes days out of the table, the oldest first, and returns them. Their
// files are deleted by the next Vacuum after DeletedFileRetention. The newest
// day stays.
func (t *Table) Retain(ctx context.Context, r Retention) (days []time.Time, err error) {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	_, err = t.commit(ctx, "DELETE", s, func(s *Snapshot) (all []action, err error) {
		days = s.beyond(r, t.opts.Now())
		if len(days) == 0 {
			return nil, nil
		}
		if err := s.writable(); err != nil {
			return nil, err
		}
		last := days[len(days)-1]
		for _, f := range s.Files() {
			if !f.Day.IsZero() && !f.Day.After(last) {
				all = append(all, f.removal(t.opts.Now(), true))
			}
		}
		return all, nil
	})
	if err != nil {
		return nil, fmt.Errorf("lake: retention: %w", err)
	}
	return days, nil
}

// beyond returns the oldest days, which are to leave.
func (s *Snapshot) beyond(r Retention, now time.Time) []time.Time {
	usage := s.Usage()
	total := int64(0)
	for _, d := range usage {
		total += d.Bytes
	}
	var days []time.Time
	for _, d := range usage[:max(len(usage)-1, 0)] {
		old := r.Age > 0 && d.Day.AddDate(0, 0, 1).Before(now.Add(-r.Age))
		large := r.Bytes > 0 && total > r.Bytes
		if !old && !large {
			break
		}
		days = append(days, d.Day)
		total -= d.Bytes
	}
	return days
}

// DayUsage is what the table holds of one day.
type DayUsage struct {
	Day   time.Time
	Files int
	Rows  int64
	Bytes int64
}

// Usage returns the days that the table holds, ascending.
func (s *Snapshot) Usage() (days []DayUsage) {
	for _, f := range s.Files() {
		if f.Day.IsZero() {
			continue
		}
		if len(days) == 0 || !days[len(days)-1].Day.Equal(f.Day) {
			days = append(days, DayUsage{Day: f.Day})
		}
		d := &days[len(days)-1]
		d.Files++
		d.Rows += f.Rows
		d.Bytes += f.Bytes
	}
	return days
}

// forecastDays is how many whole days the growth is the mean of.
const forecastDays = 7

// Forecast returns in how many days free bytes are full: by the mean of the
// last whole days, of which there must be one, and without retention. It is not
// ok if that is not known, or the table does not grow.
func (s *Snapshot) Forecast(free int64, now time.Time) (days float64, ok bool) {
	today := now.UTC().Truncate(24 * time.Hour)
	bytes, first := int64(0), today
	for _, d := range s.Usage() {
		if d.Day.Before(today) && !d.Day.Before(today.AddDate(0, 0, -forecastDays)) {
			bytes += d.Bytes
			if d.Day.Before(first) {
				first = d.Day
			}
		}
	}
	n := today.Sub(first).Hours() / 24
	if bytes <= 0 || n < 1 {
		return 0, false
	}
	return float64(free) / (float64(bytes) / n), true
}
