package lake

import (
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob/dir"
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

// history fills a table with days of rows, compacted, and an uncompacted last
// hour of one flush a minute.
func history(b *testing.B, devices, days, rowsOfDay int) *Table {
	b.Helper()
	bucket, err := dir.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bucket.Close() })
	end := benchStart.AddDate(0, 0, days)
	table := openTable(b, bucket, Options{Now: func() time.Time { return end.Add(time.Hour) }})
	w := table.Writer(WriterOptions{})
	noise := rand.New(rand.NewPCG(1, 1))
	seq := int64(0)
	fill := func(from time.Time, length time.Duration, n int) {
		rows := make([]Row, n)
		for i := range rows {
			at := from.Add(time.Duration(i) * length / time.Duration(n)).Truncate(time.Millisecond)
			device := fmt.Sprintf("machine-%04d", i%devices)
			body := fmt.Appendf(nil, `{"deviceId":"%s","timestamp":"%s","temperature":%.2f,"humidity":%.1f}`, device, at.Format(time.RFC3339Nano), 20+5*noise.Float64(), 45+10*noise.Float64())
			rows[i] = Row{Sender: device, Partition: i % 4, Seq: seq, EnqueuedAt: at.Add(time.Duration(noise.IntN(5000)) * time.Microsecond), Body: body}
			seq++
		}
		if err := w.Append(b.Context(), rows, Txn{"bench", seq - 1}); err != nil {
			b.Fatal(err)
		}
		if err := w.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	for d := range days {
		for part := range 2 {
			fill(benchStart.AddDate(0, 0, d).Add(time.Duration(part)*12*time.Hour), 12*time.Hour, rowsOfDay/2)
		}
	}
	stats, err := table.Compact(b.Context(), CompactOptions{Before: end})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d rows, %.2f B/row, compacted %.2f B/row", stats.Rows, float64(stats.BytesBefore)/float64(stats.Rows), float64(stats.BytesAfter)/float64(stats.Rows))
	for minute := range 60 {
		fill(end.Add(time.Duration(minute)*time.Minute), time.Minute, max(rowsOfDay/1440, 1))
		if _, err := table.Compact(b.Context(), CompactOptions{Before: end}); err != nil {
			b.Fatal(err)
		}
	}
	return table
}

// BenchmarkLastHour reads the last hour of one device out of 30 days of 5 M
// rows: once with the hour in one flush a minute, once in a compacted day.
func BenchmarkLastHour(b *testing.B) {
	table := history(b, 1000, 30, 167_000)
	for name, from := range map[string]time.Time{"fresh": benchStart.AddDate(0, 0, 30), "compacted": benchStart.AddDate(0, 0, 30).Add(-time.Hour)} {
		b.Run(name, func(b *testing.B) {
			before, rows, n := cpu(), 0, 0
			for b.Loop() {
				sc, err := table.Scan(b.Context(), Query{Device: "machine-0042", From: from, To: from.Add(time.Hour)})
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range sc.Rows(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					rows++
				}
				n++
			}
			b.ReportMetric(float64((cpu()-before).Microseconds())/float64(n)/1000, "cpu-ms/op")
			b.ReportMetric(float64(rows)/float64(n), "rows/op")
		})
	}
}

// BenchmarkYear reads a year of two measures of one device in at most 1,000 buckets.
func BenchmarkYear(b *testing.B) {
	table := history(b, 200, 365, 9600)
	q := SeriesQuery{Device: "machine-0042", Measures: []string{"temperature", "humidity"}, From: benchStart, To: benchStart.AddDate(1, 0, 0)}
	q.Step = StepFor(q.From, q.To, 1000)
	b.ResetTimer()
	before, n, values := cpu(), 0, int64(0)
	for b.Loop() {
		all, err := table.Series(b.Context(), q)
		if err != nil {
			b.Fatal(err)
		}
		for _, bucket := range all[0] {
			values += bucket.Count
		}
		n++
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(n)/1000, "cpu-ms/op")
	b.ReportMetric(float64(values)/float64(n), "values/op")
}
