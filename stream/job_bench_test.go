package stream

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	blobmem "github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// benchLog gives the same batches again and again, as fast as they are taken,
// with times that go on: what a log costs is not measured.
type benchLog struct {
	partitions int
	events     int // in all
	msgs       []telemetry.Message
}

// newBenchLog makes events of about 200 bytes of 100 devices.
func newBenchLog(partitions, events int) *benchLog {
	l := &benchLog{partitions: partitions, events: events}
	for i := range 1024 {
		l.msgs = append(l.msgs, telemetry.Message{
			DeviceID: fmt.Sprintf("device-%02d", i%100),
			Body: fmt.Appendf(nil, `{"deviceId":"device-%02d","temperature":%d.%02d,"humidity":%d,"pressure":1013.25,"status":"ok","location":{"building":"b1","floor":%d},"firmware":"1.2.3","vibration":0.0123,"line":"A","seq":%d}`,
				i%100, 20+i%15, i%100, 40+i%20, i%5, i),
		})
	}
	return l
}

func (l *benchLog) Partitions(context.Context) (int, error) { return l.partitions, nil }

func (l *benchLog) Read(ctx context.Context, from, _ eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for p := range from {
			msgs := append([]telemetry.Message(nil), l.msgs...)
			at := trialBase
			for n := 0; n < l.events/l.partitions; n += len(msgs) {
				for i := range msgs {
					at = at.Add(time.Millisecond)
					msgs[i].Partition, msgs[i].Seq, msgs[i].EnqueuedAt = p, int64(n+i), at
				}
				if !yield(eventlog.Batch{Partition: p, Messages: msgs}, nil) {
					return
				}
			}
			yield(eventlog.Batch{Partition: p, Through: at.Add(time.Hour)}, nil)
			<-ctx.Done()
			yield(eventlog.Batch{}, ctx.Err())
		}
	}
}

// nullOutput takes rows and ends the run when the log has given all.
type nullOutput struct{}

func (nullOutput) Mark(context.Context, Shard) (Ordinal, error)    { return None, nil }
func (nullOutput) Write(context.Context, Shard, []OutputRow) error { return nil }
func (nullOutput) Flush(context.Context) error                     { return nil }

// BenchmarkJob runs whole jobs: a log of 200 byte events in batches of 1024,
// decoding, order, operators, encoding of rows, a null output. With -cpu 1 the
// figure is that of one core.
func BenchmarkJob(b *testing.B) {
	for _, bench := range []struct{ name, query string }{
		{"filter", "SELECT deviceId, temperature INTO out FROM hub WHERE temperature > 30"},
		{"tumbling", "SELECT deviceId, AVG(temperature) AS a, MAX(temperature) AS m, COUNT(*) AS c INTO out FROM hub GROUP BY deviceId, TumblingWindow(second, 10)"},
		{"star", "SELECT * INTO out FROM hub WHERE temperature > 30"},
	} {
		for _, partitions := range []int{1, 4} {
			b.Run(fmt.Sprintf("%s/partitions=%d", bench.name, partitions), func(b *testing.B) {
				log := newBenchLog(partitions, max(b.N, 1024*partitions))
				j, err := NewJob(JobOptions{
					Name: "bench", Program: compileText(b, bench.query), Bucket: blobmem.New(),
					Inputs: map[string]eventlog.Reader{"hub": log}, Outputs: map[string]Output{"out": nullOutput{}}, Policy: DefaultPolicy(),
				})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				b.ReportAllocs()
				b.ResetTimer()
				go func() { done <- j.Run(ctx) }()
				want := int64(log.events / partitions / 1024 * 1024 * partitions)
				for j.Stats().Events < want || j.Stats().Watermark.Before(trialBase.Add(time.Hour-time.Minute)) {
					time.Sleep(time.Millisecond)
				}
				b.StopTimer()
				cancel()
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(j.Stats().Events)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}
