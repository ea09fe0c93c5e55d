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
	"github.com/weir-iot/weir/eventlog/disk"
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
// compactions included. The variants on disk read a real log, filled before.
// It needs -benchtime 1000000x or more to mean anything.
func BenchmarkLogToStore(b *testing.B) {
	for _, tt := range []struct {
		name         string
		chosen, real bool
	}{
		{"generated", false, false}, {"messageID", true, false}, {"disk/generated", false, true}, {"disk/messageID", true, true},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			n := max(b.N, rampGroup) / rampGroup * rampGroup
			var log eventlog.Reader = rampLog{n, tt.chosen}
			if tt.real {
				log = untilLatest{diskLog(b, n, tt.chosen)}
			}
			st, err := pebble.Open(b.TempDir(), pebble.Options{})
			if err != nil {
				b.Fatal(err)
			}
			h := NewHot(log, st, HotOptions{})
			runtime.GC()
			start, used := time.Now(), cpu()
			_ = h.Run(b.Context()) // ends with the log's ErrClosed, flushed
			if err := st.Close(); err != nil {
				b.Fatal(err)
			}
			used = cpu() - used
			got := 0
			for _, p := range h.Stats().Partitions {
				got += int(p.Durable) + 1
			}
			if got != n {
				b.Fatalf("%d of %d records were applied", got, n)
			}
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "docs/s")
			b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(n), "cpu-µs/doc")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// untilLatest is a log that is closed behind what it had when a read began.
type untilLatest struct{ eventlog.Reader }

func (l untilLatest) Read(ctx context.Context, from, _ eventlog.Positions) iter.Seq2[eventlog.Batch, error] {
	return func(yield func(eventlog.Batch, error) bool) {
		for b, err := range l.Reader.Read(ctx, from, eventlog.AllFrom(rampPartitions, eventlog.Latest())) {
			if !yield(b, err) {
				return
			}
		}
		yield(eventlog.Batch{}, eventlog.ErrClosed)
	}
}

// diskLog fills a real log with what rampLog gives.
func diskLog(b *testing.B, n int, chosen bool) eventlog.Reader {
	log, err := disk.Open(b.TempDir(), disk.Options{Partitions: rampPartitions})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	done := make(chan error, 1)
	for batch, err := range (rampLog{n, chosen}).Read(b.Context(), nil, nil) {
		if err != nil {
			return log // it is at its end
		}
		log.Append(batch.Messages, func(err error) { done <- err })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return log
}
