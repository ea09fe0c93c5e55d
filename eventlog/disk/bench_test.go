package disk

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

func benchMessage(device int) telemetry.Message {
	return telemetry.Message{
		DeviceID: fmt.Sprintf("machine-%04d", device), ContentType: "application/json", Encoding: "utf-8",
		Body: make([]byte, 160),
	}
}

// syncTimes measures the disk: what every figure of level Sync rests on.
type syncTimes struct {
	FS
	mu    sync.Mutex
	times []time.Duration
}

type timedFile struct {
	File
	s *syncTimes
}

func (s *syncTimes) Create(name string) (File, error) {
	f, err := s.FS.Create(name)
	return timedFile{f, s}, err
}

func (f timedFile) Sync() error {
	start := time.Now()
	err := f.File.Sync()
	f.s.mu.Lock()
	f.s.times = append(f.s.times, time.Since(start))
	f.s.mu.Unlock()
	return err
}

func (s *syncTimes) report(b *testing.B) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.times)
	b.ReportMetric(float64(s.times[len(s.times)/2].Microseconds()), "sync-p50-µs")
	b.ReportMetric(float64(s.times[len(s.times)*99/100].Microseconds()), "sync-p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func benchLog(b *testing.B, gather time.Duration) (*Log, *syncTimes) {
	s := &syncTimes{FS: osFS{}}
	l := mustOpen(b, b.TempDir(), Options{FS: s, Gather: gather})
	return l, s
}

// BenchmarkCommit is so many committers, each waiting for its own record.
func BenchmarkCommit(b *testing.B)   { benchmarkCommit(b, 0) }
func BenchmarkGathered(b *testing.B) { benchmarkCommit(b, time.Millisecond) }

func benchmarkCommit(b *testing.B, gather time.Duration) {
	for _, committers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(committers), func(b *testing.B) {
			l, s := benchLog(b, gather)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range committers {
				wg.Go(func() {
					msgs := []telemetry.Message{benchMessage(c)}
					durable := make(chan error, 1)
					done := func(err error) { durable <- err }
					for left.Add(-1) >= 0 {
						l.Append(msgs, done)
						if err := <-durable; err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			s.report(b)
		})
	}
}

// BenchmarkBatch is one committer of 1,000 records at a time; ns are per record.
func BenchmarkBatch(b *testing.B) {
	l, s := benchLog(b, 0)
	msgs := make([]telemetry.Message, 1000)
	for i := range msgs {
		msgs[i] = benchMessage(i)
	}
	durable := make(chan error, 1)
	done := func(err error) { durable <- err }
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += len(msgs) {
		l.Append(msgs[:min(len(msgs), b.N-n)], done)
		if err := <-durable; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	s.report(b)
}

// BenchmarkRead reads records from the page cache; ns are per record.
func BenchmarkRead(b *testing.B) {
	l := mustOpen(b, b.TempDir(), Options{Level: Memory})
	const stored = 500_000
	fill(b, l, stored)
	for _, c := range []struct {
		name string
		from eventlog.Positions
	}{
		{"all", eventlog.AllFrom(4, eventlog.Oldest())},
		{"one of four", eventlog.Positions{1: eventlog.Oldest()}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for n < b.N {
				for batch, err := range l.Read(b.Context(), c.from, eventlog.AllFrom(4, eventlog.Latest())) {
					if err != nil {
						b.Fatal(err)
					}
					if n += len(batch.Messages); n >= b.N {
						break
					}
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func fill(b *testing.B, l *Log, n int) {
	b.Helper()
	msgs := make([]telemetry.Message, 100)
	for i := range msgs {
		msgs[i] = benchMessage(i)
	}
	durable := make(chan error, 1)
	for range n / len(msgs) {
		l.Append(msgs, func(err error) { durable <- err })
		if err := <-durable; err != nil {
			b.Fatal(err)
		}
	}
}
