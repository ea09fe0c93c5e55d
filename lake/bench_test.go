package lake

import (
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob/mem"
)

// benchRows makes n messages of 1000 devices in 4 partitions, one a second of
// each device, with the fields of the design's narrow message, or about 200
// bytes of the simulated fleet's.
func benchRows(start time.Time, from, n int, wide bool) []Row {
	rows := make([]Row, n)
	noise := rand.New(rand.NewPCG(1, uint64(from)))
	for i := range rows {
		k := from + i
		device := k % 1000
		at := start.Add(time.Duration(k) * time.Millisecond)
		stamp := at.Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00")
		temperature := 20 + 5*math.Sin(float64(k)/1e5+float64(device)) + noise.Float64()
		body := fmt.Appendf(nil, `{"deviceId":"machine-%04d","timestamp":"%s","temperature":%.2f,"humidity":%.1f`, device, stamp, temperature, 45+10*noise.Float64())
		if wide {
			body = fmt.Appendf(body, `,"pressure":%.2f,"vibration":%.2f,"power":%.2f,"machine":"pump","state":"running"`, 4+noise.Float64(), 1+noise.Float64(), 7+noise.Float64())
		}
		rows[i] = Row{
			Sender: fmt.Sprintf("machine-%04d", device), Partition: device % 4, Seq: int64(k), // one sequence: ascending per app
			EnqueuedAt: at.Add(time.Duration(noise.IntN(5000)) * time.Microsecond), Body: append(body, '}'),
		}
	}
	return rows
}

var benchStart = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func BenchmarkAppend(b *testing.B) {
	for _, wide := range []bool{false, true} {
		name := "narrow"
		if wide {
			name = "200B"
		}
		b.Run(name, func(b *testing.B) {
			const batch = 1000
			rows := benchRows(benchStart, 0, 200_000, wide)
			table, err := Open(b.Context(), mem.New(), "telemetry", Options{})
			if err != nil {
				b.Fatal(err)
			}
			w := table.Writer(WriterOptions{})
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			seq, total := int64(0), 0
			for b.Loop() {
				at := total % (len(rows) - batch)
				for i := range batch {
					rows[at+i].Seq = seq
					seq++
				}
				if err := w.Append(b.Context(), rows[at:at+batch], Txn{"bench", seq}); err != nil {
					b.Fatal(err)
				}
				total += batch
			}
			if err := w.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(total)/(cpu()-before).Seconds(), "rows/cpu-s")
			b.ReportMetric(float64(w.Stats().Bytes)/float64(w.Stats().Rows), "B/row")
		})
	}
}

// cpu is the time that this process was on a processor: what counts on a
// machine that others use.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
