//go:build unix

package stream

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/telemetry"
)

// rampLog is a log that gives n messages as fast as they are taken: of 1,000
// devices, 140 bytes of JSON each, in groups as a sync of the log makes them.
type rampLog struct {
	n      int
	chosen bool // messages have ids
}

func (rampLog) Partitions(context.Context) (int, error) { return rampPartitions, nil }

const (
	rampDevices    = 1000
	rampPartitions = 4
	rampGroup      = 512
)

func (l rampLog) Read(ctx context.Context, _, _ eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		at := time.Now().Add(-time.Hour)
		msgs := make([]telemetry.Message, rampGroup)
		bodies := make([]byte, 0, 256*rampGroup)
		seqs := make([]int64, rampPartitions)
		names := make([]string, rampDevices)
		for i := range names {
			names[i] = fmt.Sprintf("machine-%04d", i)
		}
		for done := 0; done < l.n; done += rampGroup {
			bodies = bodies[:0]
			p := done / rampGroup % rampPartitions
			for i := range msgs {
				n := done + i
				device := names[(n*7+p)%rampDevices]
				from := len(bodies)
				bodies = append(bodies, `{"deviceId":"`...)
				bodies = append(bodies, device...)
				bodies = append(bodies, `","timestamp":"2026-01-01T00:00:01.123Z","temperature":`...)
				bodies = appendHundredths(bodies, 2000+n*37%900)
				bodies = append(bodies, `,"humidity":`...)
				bodies = appendHundredths(bodies, 4000+n*91%3000)
				bodies = append(bodies, `,"pressure":1013.25,"vibration":`...)
				bodies = appendHundredths(bodies, 1000+n*13%899)
				bodies = append(bodies, '}')
				msgs[i] = telemetry.Message{DeviceID: device, ContentType: "application/json", Body: bodies[from:], Partition: p, Seq: seqs[p], EnqueuedAt: at.Add(time.Duration(n) * time.Microsecond)}
				if l.chosen {
					msgs[i].MessageID = fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n)*2654435761, n)
				}
				seqs[p]++
			}
			if !yield(eventlog.Batch{Partition: p, Messages: msgs, Through: msgs[rampGroup-1].EnqueuedAt}, nil) {
				return
			}
		}
		yield(eventlog.Batch{}, eventlog.ErrClosed)
	}
}

func appendHundredths(b []byte, n int) []byte {
	b = append(b, byte('0'+n/1000%10), byte('0'+n/100%10), '.')
	return append(b, byte('0'+n/10%10), byte('0'+n%10))
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLogToStore counts what one document costs from the log's batch to
// the store on disk: user and system time of all threads, flushes and
// compactions included. It needs -benchtime 5000000x or more to mean anything.
func BenchmarkLogToStore(b *testing.B) {
	for _, chosen := range []bool{false, true} {
		b.Run(map[bool]string{false: "generated", true: "messageID"}[chosen], func(b *testing.B) {
			b.ReportAllocs()
			st, err := pebble.Open(b.TempDir(), pebble.Options{})
			if err != nil {
				b.Fatal(err)
			}
			n := max(b.N, rampGroup) / rampGroup * rampGroup
			h := NewHot(rampLog{n, chosen}, st, HotOptions{})
			runtime.GC()
			start, used := time.Now(), cpu()
			_ = h.Run(b.Context()) // ends with the log's ErrClosed, flushed
			if err := st.Close(); err != nil {
				b.Fatal(err)
			}
			used = cpu() - used
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "docs/s")
			b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(n), "cpu-µs/doc")
			b.ReportMetric(0, "ns/op")
		})
	}
}

var _ store.Store = (*pebble.Store)(nil)
