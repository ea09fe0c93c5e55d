package lake

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// seriesTag names the hourly aggregates of a file.
const seriesTag = "weir.series"

const seriesFolder = "_series/"

const hourMicros = 3600 * 1e6

// The columns of a file of hourly aggregates; time is the start of the hour,
// source the path of the file whose rows were aggregated. The rows are sorted by
// device, hour and measure.
var hourlyColumns = []fileColumn{
	{Column: Column{DeviceID, String}, required: true},
	{Column: Column{Time, Timestamp}, required: true},
	{Column: Column{"measure", String}, required: true},
	{Column: Column{"count", Long}, required: true},
	{Column: Column{"min", Double}, required: true},
	{Column: Column{"max", Double}, required: true},
	{Column: Column{"sum", Double}, required: true, distinct: true},
	{Column: Column{"last", Double}, required: true},
	{Column: Column{"lastTime", Timestamp}, required: true},
	{Column: Column{"source", String}, required: true},
}

// The places of hourlyColumns after deviceAt and timeAt.
const (
	measureAt = iota + 2
	countAt
	minAt
	maxAt
	sumAt
	lastAt
	lastTimeAt
	sourceAt
)

// hourlyPage is the number of rows of a page: about what a query reads.
const hourlyPage = 1024

// An aggregate is of the values of one measure of one device in some time.
type aggregate struct {
	count               int64
	min, max, sum, last float64
	lastTime            int64 // µs
}

// add counts a value in. Of values of the same time the later call's is the last.
func (a *aggregate) add(f float64, us int64) {
	a.merge(&aggregate{1, f, f, f, f, us})
}

func (a *aggregate) merge(o *aggregate) {
	if a.count == 0 {
		*a = *o
		return
	}
	a.count += o.count
	a.sum += o.sum
	a.min, a.max = min(a.min, o.min), max(a.max, o.max)
	if o.lastTime >= a.lastTime {
		a.last, a.lastTime = o.last, o.lastTime
	}
}

// An hourly aggregates the rows of a sorted file.
type hourly struct {
	source   []byte
	measures []int // columns
	columns  []fileColumn
	device   []byte
	hours    map[measureHour]*aggregate // of the device at hand
	pager    *pager
	values   [][]parquet.Value
	// tooMany says that a device's clock is all over the place: then there are no
	// aggregates of the file, and its rows are read.
	tooMany bool
}

type measureHour struct {
	column int
	hour   int64
}

// maxHours bounds the aggregates of one device in one file.
const maxHours = 1 << 17

func newHourly(source string, columns []fileColumn, out *fileWriter) *hourly {
	h := &hourly{source: []byte(source), columns: columns, hours: map[measureHour]*aggregate{}, values: make([][]parquet.Value, len(hourlyColumns))}
	h.pager = newPager(out, hourlyPage)
	for i, c := range columns {
		if c.Type == Double {
			h.measures = append(h.measures, i)
		}
	}
	return h
}

func (h *hourly) take(values [][]parquet.Value, from, to int) error {
	for row := from; row < to && !h.tooMany; row++ {
		if device := values[deviceAt][row].ByteArray(); !bytes.Equal(device, h.device) {
			if err := h.flush(); err != nil {
				return err
			}
			h.device = slices.Clone(device)
		}
		us := values[timeAt][row].Int64()
		hour := floorDiv(us, hourMicros)
		for _, column := range h.measures {
			v := values[column][row]
			if v.IsNull() {
				continue
			}
			key := measureHour{column, hour}
			a := h.hours[key]
			if a == nil {
				a = new(aggregate)
				h.hours[key] = a
				h.tooMany = len(h.hours) > maxHours
			}
			a.add(v.Double(), us)
		}
	}
	return nil
}

// flush writes the aggregates of the device at hand.
func (h *hourly) flush() error {
	keys := make([]measureHour, 0, len(h.hours))
	for k := range h.hours {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b measureHour) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), strings.Compare(h.columns[a.column].Name, h.columns[b.column].Name))
	})
	for i := range h.values {
		h.values[i] = h.values[i][:0]
	}
	for _, k := range keys {
		a := h.hours[k]
		for i, v := range []parquet.Value{
			parquet.ByteArrayValue(h.device), parquet.Int64Value(k.hour * hourMicros),
			parquet.ByteArrayValue([]byte(h.columns[k.column].Name)), parquet.Int64Value(a.count),
			parquet.DoubleValue(a.min), parquet.DoubleValue(a.max), parquet.DoubleValue(a.sum),
			parquet.DoubleValue(a.last), parquet.Int64Value(a.lastTime), parquet.ByteArrayValue(h.source),
		} {
			h.values[i] = append(h.values[i], v)
		}
	}
	clear(h.hours)
	return h.pager.take(h.values, 0, len(keys))
}

func (h *hourly) close() error {
	if err := h.flush(); err != nil {
		return err
	}
	return h.pager.flush()
}
