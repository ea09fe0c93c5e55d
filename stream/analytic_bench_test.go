package stream

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// benchmarkDevices processes rows of 100 devices that report every 5 seconds:
// deviceId, temperature and the time.
func benchmarkDevices(b *testing.B, query string) {
	const devices = 100
	p := compileText(b, query)
	in := p.New(func(e *RowError) error { return e })
	sink := func(int, *saql.Row) error { return nil }
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]saql.Value, 8192)
	for i := range values {
		values[i] = saql.Float(20 + random.NormFloat64())
	}
	ids := make([]saql.Value, devices)
	for i := range ids {
		ids[i] = saql.String(fmt.Sprintf("device-%03d", i))
	}
	columns := p.Inputs()[0].Columns
	row := saql.Row{Values: make([]saql.Value, len(columns))}
	at := mustTicks(b, "2026-01-01")
	next := 0
	step := func() {
		device := next % devices
		row.Time = at + saql.Ticks(next)*50*10_000
		for i, c := range columns {
			switch c.Path[0] {
			case "deviceId":
				row.Values[i] = ids[device]
			case "temperature":
				row.Values[i] = values[next*7%len(values)]
			default:
				row.Values[i] = saql.Datetime(row.Time)
			}
		}
		next++
		if err := in.Process(0, &row, sink); err != nil {
			b.Fatal(err)
		}
	}
	for range 200 * devices { // fill the history
		step()
	}
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkSpikeAndDip(b *testing.B) {
	benchmarkDevices(b, `WITH AnomalyDetection AS (
		SELECT deviceId, temperature, EventEnqueuedUtcTime AS eventTime,
			AnomalyDetection_SpikeAndDip(temperature, 95, 120, 'spikesanddips')
				OVER (PARTITION BY deviceId LIMIT DURATION(minute, 10)) AS anomalyResult
		FROM IoTHubInput)
	SELECT deviceId, temperature, eventTime, anomalyResult.Score AS anomalyScore, anomalyResult.IsAnomaly AS isAnomaly
	INTO AlertOutput FROM AnomalyDetection WHERE anomalyResult.IsAnomaly = 1`)
}

func BenchmarkLag(b *testing.B) {
	benchmarkDevices(b, `SELECT deviceId, temperature - LAG(temperature) OVER (PARTITION BY deviceId LIMIT DURATION(minute, 10)) AS rise
	INTO out FROM i`)
}

func BenchmarkAverageOver(b *testing.B) {
	benchmarkDevices(b, `SELECT deviceId, AVG(temperature) OVER (PARTITION BY deviceId LIMIT DURATION(minute, 10)) AS mean INTO out FROM i`)
}

// BenchmarkJoin joins a stream with itself: each reading with the one before.
func BenchmarkJoin(b *testing.B) {
	benchmarkDevices(b, `SELECT a.deviceId, b.temperature - a.temperature AS rise INTO out
	FROM i AS a JOIN i AS b ON a.deviceId = b.deviceId AND DATEDIFF(millisecond, a, b) BETWEEN 1 AND 5000`)
}
