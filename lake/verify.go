package lake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// A Report is what Verify found.
type Report struct {
	Version    int64
	Files      int
	Rows       int64
	Partitions []PartitionReport
	// Problems say what is wrong; at most MaxProblems of them.
	Problems []string
	Count    int // of problems
}

// A PartitionReport is about the log records of one partition that the table
// has. Those of a log that lost nothing are as many as Last-First+1.
type PartitionReport struct {
	Partition   int
	First, Last int64 // sequence numbers
	Records     int64
}

// MaxProblems bounds the problems that a report lists.
const MaxProblems = 100

func (r *Report) problem(format string, args ...any) {
	if r.Count++; len(r.Problems) < MaxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify reads every value of the table: every file must be readable and have
// as many rows as the log says, each on the day of its path, and no place
// (partition, seq, index) twice. Its memory grows by a bit for each row. An
// error means that it could not go on; what is wrong is in the report. progress,
// if not nil, is called after each file.
func (t *Table) Verify(ctx context.Context, progress func(files, of int)) (*Report, error) {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	v := &verification{t: t, s: s, report: &Report{Version: s.Version}, places: map[placeKey]*seqSet{}}
	files := s.Files()
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := v.file(ctx, f); err != nil {
			v.report.problem("%s: %v", f.Path, err)
		}
		if progress != nil {
			progress(i+1, len(files))
		}
	}
	v.partitions()
	return v.report, nil
}

type placeKey struct {
	partition int32
	index     int32
}

type verification struct {
	t      *Table
	s      *Snapshot
	report *Report
	places map[placeKey]*seqSet
}

func (v *verification) file(ctx context.Context, f *File) error {
	r, err := v.t.openFile(ctx, f.Path)
	if err != nil {
		return err
	}
	defer r.close()
	v.report.Files++
	if got := r.object.Size(); got != f.Bytes {
		return fmt.Errorf("%d bytes, the log says %d", got, f.Bytes)
	}
	rows := int64(0)
	for g, group := range r.groups {
		for _, s := range split([]span{{g, 0, group.NumRows()}}) {
			if err := v.rows(r, f, s); err != nil {
				return err
			}
			rows += s.to - s.from
		}
	}
	v.report.Rows += rows
	if path := f.add.Tags[seriesTag]; path != "" {
		if err := v.series(ctx, path); err != nil {
			return err
		}
	}
	if f.add.Stats != "" && rows != f.Rows {
		return fmt.Errorf("%d rows, the log says %d", rows, f.Rows)
	}
	return nil
}

// series reads all hourly aggregates of a file.
func (v *verification) series(ctx context.Context, path string) error {
	r, err := v.t.openFile(ctx, path)
	if err != nil {
		return err
	}
	defer r.close()
	var values []parquet.Value
	for g, group := range r.groups {
		for _, s := range split([]span{{g, 0, group.NumRows()}}) {
			for _, c := range hourlyColumns {
				if values, err = r.read(s, c.Name, values[:0]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rows reads all columns of some rows, and takes their places.
func (v *verification) rows(r *fileReader, f *File, s span) error {
	var keys [4][]parquet.Value
	var other []parquet.Value
	for i, name := range []string{Partition, Seq, Index, EnqueuedAt} {
		var err error
		if keys[i], err = r.read(s, name, nil); err != nil {
			return err
		}
	}
	for _, c := range v.s.Columns() {
		var err error
		if other, err = r.read(s, c.Name, other[:0]); err != nil {
			return err
		}
	}
	for i := range keys[0] {
		key := placeKey{keys[0][i].Int32(), keys[2][i].Int32()}
		seq := keys[1][i].Int64()
		if keys[1][i].IsNull() {
			continue // of another writer, without a place
		}
		set := v.places[key]
		if set == nil {
			set = new(seqSet)
			v.places[key] = set
		}
		if !set.add(seq) {
			v.report.problem("%s: partition %d, seq %d, index %d is there twice", f.Path, key.partition, seq, key.index)
		}
		if day := floorDiv(keys[3][i].Int64(), dayMicros); !f.Day.IsZero() && day != f.Day.Unix()/86400 {
			v.report.problem("%s: partition %d, seq %d, index %d is of another day", f.Path, key.partition, seq, key.index)
		}
	}
	return nil
}

// partitions sums up the records; each has a row of index 0.
func (v *verification) partitions() {
	for _, key := range slices.SortedFunc(maps.Keys(v.places), func(a, b placeKey) int { return cmp.Compare(a.partition, b.partition) }) {
		if key.index != 0 {
			continue
		}
		set := v.places[key]
		first, last := set.bounds()
		v.report.Partitions = append(v.report.Partitions, PartitionReport{int(key.partition), first, last, set.count})
	}
}
