package lake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/weir-iot/weir/blob"
)

// A SeriesQuery asks for the course of measures of a device, in buckets of
// equal length.
type SeriesQuery struct {
	Device   string
	Measures []string // columns of type Double
	// From and To are rounded to whole buckets: outwards. Buckets begin at
	// multiples of Step since 1970, in UTC.
	From, To time.Time
	// Step is the length of a bucket. Whole hours are fast: they are read from
	// the aggregates that compaction keeps.
	Step time.Duration
}

// A Bucket is the values of one measure in [Start, Start+Step). Where Count is
// 0 there is a gap, and the other values have no meaning.
type Bucket struct {
	Start          time.Time
	Count          int64
	Min, Max, Mean float64
	Last           float64
	LastTime       time.Time
}

// MaxBuckets bounds the buckets of a query.
const MaxBuckets = 100_000

// ErrQuery refuses a query that cannot be answered.
var ErrQuery = errors.New("lake: invalid query")

// StepFor returns the shortest step of a clock or calendar (1 s … 1 h … 1 d …)
// that covers a range with at most points buckets.
func StepFor(from, to time.Time, points int) time.Duration {
	least := to.Sub(from) / time.Duration(max(points-1, 1)) // the range may begin within a bucket
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	} {
		if step >= least {
			return step
		}
	}
	const day = 24 * time.Hour
	return (least + day - 1) / day * day
}

// Series returns the buckets of each measure, in their order, gaps included.
func (t *Table) Series(ctx context.Context, q SeriesQuery) ([][]Bucket, error) {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	sr, err := newSeriesReader(t, s, q)
	if err != nil {
		return nil, err
	}
	hourly := map[string][]*File{} // by their aggregates
	for _, f := range s.Files() {
		path := f.add.Tags[seriesTag]
		switch {
		case !f.bounds.hasDevice(q.Device) || !f.bounds.hasTime(time.UnixMicro(sr.from), time.UnixMicro(sr.to)):
		case path != "" && sr.step%hourMicros == 0:
			hourly[path] = append(hourly[path], f)
		default:
			err = sr.rows(ctx, f.Path)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(hourly)) {
		if err := sr.hours(ctx, path, hourly[path]); err != nil {
			return nil, err
		}
	}
	return sr.buckets(), nil
}

// A seriesReader aggregates the rows of one device.
type seriesReader struct {
	t        *Table
	q        SeriesQuery
	measures []string
	from, to int64 // µs
	step     int64
	sums     [][]aggregate
}

func newSeriesReader(t *Table, s *Snapshot, q SeriesQuery) (*seriesReader, error) {
	sr := &seriesReader{t: t, q: q, step: q.Step.Microseconds()}
	if q.Device == "" || sr.step <= 0 || !q.From.Before(q.To) {
		return nil, fmt.Errorf("%w: a series needs a device, a step of 1 µs or more, and a range", ErrQuery)
	}
	sr.from = floorDiv(q.From.UnixMicro(), sr.step) * sr.step
	sr.to = -floorDiv(-q.To.UnixMicro(), sr.step) * sr.step
	n := (sr.to - sr.from) / sr.step
	if n > MaxBuckets || n < 0 {
		return nil, fmt.Errorf("%w: %d buckets, at most %d", ErrQuery, n, MaxBuckets)
	}
	names := s.names()
	for _, name := range q.Measures {
		c, ok := names[fold(name)]
		if !ok || c.Type != Double {
			return nil, fmt.Errorf("%w: the table has no measure %q", ErrQuery, name)
		}
		sr.measures = append(sr.measures, c.Name)
		sr.sums = append(sr.sums, make([]aggregate, n))
	}
	return sr, nil
}

// rows reads the values themselves.
func (sr *seriesReader) rows(ctx context.Context, path string) error {
	r, err := sr.t.openFile(ctx, path)
	if err != nil {
		return err
	}
	defer r.close()
	spans, err := r.spans(sr.q.Device, sr.from, sr.to)
	if err != nil {
		return err
	}
	var device, at, values []parquet.Value
	for _, s := range split(spans) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if device, err = r.read(s, DeviceID, device[:0]); err == nil {
			at, err = r.read(s, Time, at[:0])
		}
		for i := range sr.measures {
			if err != nil {
				return err
			}
			if values, err = r.read(s, sr.measures[i], values[:0]); err == nil {
				sr.add(i, device, at, values)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (sr *seriesReader) add(measure int, device, at, values []parquet.Value) {
	for i, v := range values {
		us := at[i].Int64()
		if v.IsNull() || us < sr.from || us >= sr.to || string(device[i].ByteArray()) != sr.q.Device {
			continue
		}
		sr.sums[measure][(us-sr.from)/sr.step].add(v.Double(), us)
	}
}

// split cuts spans into pieces of at most pageRows rows.
func split(spans []span) (pieces []span) {
	for _, s := range spans {
		for s.from < s.to {
			p := span{s.group, s.from, min(s.to, s.from+pageRows)}
			pieces = append(pieces, p)
			s.from = p.to
		}
	}
	return pieces
}

// hours reads the aggregates of files; where they were deleted meanwhile, the
// rows.
func (sr *seriesReader) hours(ctx context.Context, path string, files []*File) error {
	r, err := sr.t.openFile(ctx, path)
	if errors.Is(err, blob.ErrNotExist) {
		for _, f := range files {
			if err := sr.rows(ctx, f.Path); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer r.close()
	spans, err := r.spans(sr.q.Device, sr.from, sr.to)
	if err != nil {
		return err
	}
	sources := map[string]bool{}
	for _, f := range files {
		sources[f.Path] = true
	}
	columns := make([][]parquet.Value, len(hourlyColumns))
	for _, s := range split(spans) {
		if columns[0], err = r.read(s, DeviceID, columns[0][:0]); err != nil {
			return err
		}
		s, columns[0] = sr.ours(s, columns[0])
		for i := 1; i < len(columns) && s.from < s.to; i++ {
			if columns[i], err = r.read(s, hourlyColumns[i].Name, columns[i][:0]); err != nil {
				return err
			}
		}
		for row := range columns[0] {
			if sources[string(columns[sourceAt][row].ByteArray())] {
				sr.hour(columns, row)
			}
		}
	}
	return nil
}

// ours cuts a span to the rows of the device, which are side by side.
func (sr *seriesReader) ours(s span, device []parquet.Value) (span, []parquet.Value) {
	is := func(v parquet.Value) bool { return string(v.ByteArray()) == sr.q.Device }
	from := slices.IndexFunc(device, is)
	if from < 0 {
		return span{s.group, s.from, s.from}, nil
	}
	to := from
	for to < len(device) && is(device[to]) {
		to++
	}
	return span{s.group, s.from + int64(from), s.from + int64(to)}, device[from:to]
}

func (sr *seriesReader) hour(columns [][]parquet.Value, row int) {
	us := columns[timeAt][row].Int64()
	name := columns[measureAt][row].ByteArray()
	measure := slices.IndexFunc(sr.measures, func(m string) bool { return m == string(name) })
	if measure < 0 || us < sr.from || us >= sr.to {
		return
	}
	sr.sums[measure][(us-sr.from)/sr.step].merge(&aggregate{
		count: columns[countAt][row].Int64(), min: columns[minAt][row].Double(), max: columns[maxAt][row].Double(),
		sum: columns[sumAt][row].Double(), last: columns[lastAt][row].Double(), lastTime: columns[lastTimeAt][row].Int64(),
	})
}

func (sr *seriesReader) buckets() [][]Bucket {
	all := make([][]Bucket, len(sr.sums))
	for m, sums := range sr.sums {
		all[m] = make([]Bucket, len(sums))
		for i := range sums {
			a := &sums[i]
			b := Bucket{Start: time.UnixMicro(sr.from + int64(i)*sr.step).UTC(), Count: a.count}
			if a.count > 0 {
				b.Min, b.Max, b.Mean, b.Last = a.min, a.max, a.sum/float64(a.count), a.last
				b.LastTime = time.UnixMicro(a.lastTime).UTC()
			}
			all[m][i] = b
		}
	}
	return all
}
