package stream

import (
	"fmt"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// benchDevices send one after the other.
const benchDevices = 100

// benchBodies are JSON objects of about 200 bytes, one of each device.
func benchBodies() [][]byte {
	bodies := make([][]byte, benchDevices)
	for i := range bodies {
		bodies[i] = fmt.Appendf(nil, `{"deviceId":"machine-%04d","temperature":%d.5,"pressure":1013.25,"humidity":%d,"status":"running","location":{"site":"north","line":%d},"vibration":0.0123,"firmware":"1.4.2-rc.1","messageId":%d,"power":true}`,
			i, 15+i%20, 40+i%7, i%4, 100000+i)
	}
	return bodies
}

// A benchFeed decodes bodies to the rows of a program's only input, 10 ms apart.
type benchFeed struct {
	in      *Instance
	decoder *saql.Decoder
	bodies  [][]byte
	row     saql.Row
	rows    int // that came out
	sink    Sink
	n       int
}

func newBenchFeed(tb testing.TB, query string) *benchFeed {
	p := compileText(tb, query)
	var columns []saql.DecodeColumn
	for _, c := range p.Inputs()[0].Columns {
		columns = append(columns, c.Path)
	}
	f := &benchFeed{decoder: saql.NewDecoder(columns), bodies: benchBodies()}
	f.in = p.New(func(e *RowError) error { return e })
	f.row = saql.Row{Time: 638_700_000_000_000_000, Values: make([]saql.Value, len(columns))}
	f.sink = func(int, *saql.Row) error { f.rows++; return nil }
	return f
}

// next decodes and processes an event.
func (f *benchFeed) next() error {
	if err := f.decoder.Decode(f.bodies[f.n%len(f.bodies)], f.row.Values); err != nil {
		return err
	}
	f.n++
	f.row.Time += saql.UnitMillisecond.Ticks() * 10
	return f.in.Process(0, &f.row, f.sink)
}

// benchQueries are those of the figures that the documentation states.
var benchQueries = []struct{ name, query string }{
	{"filter", "SELECT deviceId, temperature, humidity FROM hub WHERE temperature > 20"},
	{"tumbling", "SELECT deviceId, AVG(temperature) AS avg, MAX(temperature) AS max, COUNT(*) AS n FROM hub GROUP BY deviceId, TumblingWindow(second, 10)"},
	{"hopping", "SELECT deviceId, AVG(temperature) AS avg, MAX(temperature) AS max, COUNT(*) AS n FROM hub GROUP BY deviceId, HoppingWindow(second, 600, 10)"},
	{"sliding", "SELECT deviceId, AVG(temperature) AS avg, MAX(temperature) AS max, COUNT(*) AS n FROM hub GROUP BY deviceId, SlidingWindow(second, 60)"},
	{"session", "SELECT deviceId, AVG(temperature) AS avg FROM hub GROUP BY deviceId, SessionWindow(second, 5, 60) OVER (PARTITION BY deviceId)"},
	{"expressions", "SELECT UPPER(deviceId) AS id, CASE WHEN temperature BETWEEN 15 AND 20 THEN 'low' ELSE 'high' END AS level, temperature * 1.8 + 32 AS f FROM hub WHERE status LIKE 'run%' AND location.site IN ('north', 'south')"},
}

// BenchmarkProgram decodes JSON bodies of 200 bytes of 100 devices and runs them
// through a query, on one core.
func BenchmarkProgram(b *testing.B) {
	for _, bq := range benchQueries {
		b.Run(bq.name, func(b *testing.B) {
			f := newBenchFeed(b, bq.query)
			b.ReportAllocs()
			for b.Loop() {
				if err := f.next(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
