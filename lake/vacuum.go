package lake

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// VacuumStats say what a vacuum deleted.
type VacuumStats struct {
	Files   int // that left the table
	Orphans int // that never were in it: a crash, or a lost race
	Series  int // aggregates that no file has any more
	Log     int // versions of the log that a checkpoint holds
}

// Vacuum deletes what no reader needs any more: files that left the table
// DeletedFileRetention ago; files of this package that are as old and in no
// version, as a crash between file and commit leaves; and the log before the
// last checkpoint that is older. Other files stay.
func (t *Table) Vacuum(ctx context.Context) (VacuumStats, error) {
	var stats VacuumStats
	s, err := t.Snapshot(ctx)
	if err != nil {
		return stats, err
	}
	horizon := t.opts.Now().Add(-t.opts.DeletedFileRetention)
	live := s.live(horizon)
	for name, err := range t.bucket.List(ctx, t.root) {
		if err != nil {
			return stats, fmt.Errorf("lake: vacuum: %w", err)
		}
		path := strings.TrimPrefix(name, t.root)
		if strings.HasPrefix(path, logFolder) || live[path] {
			continue
		}
		removed, was := s.removed[path]
		written, own := writtenAt(path)
		switch {
		case was && removed.DeletionTimestamp <= horizon.UnixMilli():
			stats.Files++
		case own && written.Before(horizon) && strings.HasPrefix(path, seriesFolder):
			stats.Series++
		case own && written.Before(horizon):
			stats.Orphans++
		default:
			continue
		}
		if err := t.bucket.Delete(ctx, name); err != nil {
			return stats, fmt.Errorf("lake: vacuum: %w", err)
		}
	}
	stats.Log, err = t.cleanLog(ctx, horizon)
	return stats, err
}

// live returns the paths that versions since the horizon may need. Aggregates
// are not among them: who misses them reads the rows.
func (s *Snapshot) live(horizon time.Time) map[string]bool {
	live := map[string]bool{}
	for path, f := range s.files {
		live[path] = true
		live[f.add.Tags[seriesTag]] = true
	}
	for path, r := range s.removed {
		if r.DeletionTimestamp > horizon.UnixMilli() {
			live[path] = true
		}
	}
	return live
}

// cleanLog deletes versions before the last checkpoint that were committed
// before the horizon, the oldest first: the log stays without gaps.
func (t *Table) cleanLog(ctx context.Context, horizon time.Time) (n int, err error) {
	last, err := t.findCheckpoint(ctx)
	if err != nil {
		return 0, err
	}
	for name, err := range t.bucket.List(ctx, t.root+logFolder) {
		if err != nil {
			return n, fmt.Errorf("lake: cleaning the log: %w", err)
		}
		version, ok := logVersion(strings.TrimPrefix(name, t.root))
		if !ok || version >= last.Version {
			continue
		}
		if strings.HasSuffix(name, ".json") {
			old, err := t.committedBefore(ctx, name, horizon)
			if err != nil || !old {
				return n, err
			}
		}
		if err := t.bucket.Delete(ctx, name); err != nil {
			return n, fmt.Errorf("lake: cleaning the log: %w", err)
		}
		n++
	}
	return n, nil
}

// logVersion returns the version that a commit or a checkpoint is of.
func logVersion(path string) (version int64, ok bool) {
	name, isLog := strings.CutPrefix(path, logFolder)
	if !isLog || !strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, ".parquet") {
		return 0, false
	}
	_, err := fmt.Sscanf(name, "%020d.", &version)
	return version, err == nil
}
