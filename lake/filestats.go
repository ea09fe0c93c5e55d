package lake

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// columnStats are the bounds of a column over a whole file.
type columnStats struct {
	nulls   int64
	known   bool // the bounds are those of some value
	unknown bool // a text was too long to be one

	minNumber, maxNumber float64
	minInt, maxInt       int64 // of Timestamp, Long, Integer and Boolean
	minText, maxText     []byte
}

// take counts values in. Each loop is of one type, as this is done for every
// value of the table.
func (s *columnStats) take(values []parquet.Value, kind Type) {
	switch kind {
	case Double:
		s.numbers(values)
	case Timestamp, Long:
		s.integers(values, parquet.Value.Int64)
	case Integer:
		s.integers(values, func(v parquet.Value) int64 { return int64(v.Int32()) })
	case Boolean:
		s.integers(values, func(v parquet.Value) int64 {
			if v.Boolean() {
				return 1
			}
			return 0
		})
	case String:
		s.texts(values)
	default:
		s.unknown = true
		for i := range values {
			if values[i].IsNull() {
				s.nulls++
			}
		}
	}
}

func (s *columnStats) numbers(values []parquet.Value) {
	for i := range values {
		if values[i].IsNull() {
			s.nulls++
			continue
		}
		f := values[i].Double()
		if !s.known {
			s.minNumber, s.maxNumber, s.known = f, f, true
		}
		s.minNumber, s.maxNumber = min(s.minNumber, f), max(s.maxNumber, f)
	}
}

func (s *columnStats) integers(values []parquet.Value, integer func(parquet.Value) int64) {
	for i := range values {
		if values[i].IsNull() {
			s.nulls++
			continue
		}
		n := integer(values[i])
		if !s.known {
			s.minInt, s.maxInt, s.known = n, n, true
		}
		s.minInt, s.maxInt = min(s.minInt, n), max(s.maxInt, n)
	}
}

func (s *columnStats) texts(values []parquet.Value) {
	var last []byte
	for i := range values {
		if values[i].IsNull() {
			s.nulls++
			continue
		}
		t := values[i].ByteArray()
		if s.unknown || s.known && bytes.Equal(t, last) {
			continue
		}
		last = t
		if len(t) > longestBound || !utf8.Valid(t) {
			s.unknown = true
			continue
		}
		if !s.known || bytes.Compare(t, s.minText) < 0 {
			s.minText = slices.Clone(t)
		}
		if !s.known || bytes.Compare(t, s.maxText) > 0 {
			s.maxText = slices.Clone(t)
		}
		s.known = true
	}
}

// bounds returns the smallest and the largest value as the log writes them.
func (s *columnStats) bounds(kind Type) (low, high any, ok bool) {
	if !s.known || s.unknown {
		return nil, nil, false
	}
	switch kind {
	case Double:
		return s.minNumber, s.maxNumber, true
	case Timestamp:
		return minTime(s.minInt), maxTime(s.maxInt), true
	case Boolean:
		return s.minInt != 0, s.maxInt != 0, true
	case String:
		return string(s.minText), string(s.maxText), true
	default:
		return s.minInt, s.maxInt, true
	}
}

// statistics returns those of the file as the log keeps them.
func (f *fileWriter) statistics() (string, error) {
	s := stats{NumRecords: f.rows, MinValues: map[string]any{}, MaxValues: map[string]any{}, NullCount: map[string]int64{}}
	for i, c := range f.columns {
		s.NullCount[c.Name] = f.stats[i].nulls
		if low, high, ok := f.stats[i].bounds(c.Type); ok {
			s.MinValues[c.Name], s.MaxValues[c.Name] = low, high
		}
	}
	return s.text()
}
