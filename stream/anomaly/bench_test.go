//go:build unix

package anomaly

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/saql"
)

// 100 devices send a reading each second; their histories are full.
func BenchmarkSpikeAndDip(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	readings := make([]float32, 1<<14)
	for i := range readings {
		readings[i] = float32(20 + r.NormFloat64())
	}
	for _, size := range []int{60, 120, 600, 6000} {
		o := Options{Confidence: 95, History: size, Interval: second}
		squares := float64(size) * float64(size) // the sum of distances of as many values of variance 1
		b.Run(fmt.Sprintf("literal/%d", size), func(b *testing.B) {
			run(b, readings, func(history []float32) process {
				l := newLiteral(o, false)
				l.values, l.distances, l.last = append(l.values, history[:size]...), squares, start
				return l.process
			})
		})
		b.Run(fmt.Sprintf("fast/%d", size), func(b *testing.B) {
			run(b, readings, func(history []float32) process {
				d, err := NewSpikeAndDip(o)
				if err != nil {
					b.Fatal(err)
				}
				for _, v := range history[:size] {
					d.history.push(v)
				}
				d.history.sum, d.slots.last = squares, start
				return d.Process
			})
		})
	}
}

// The first event of a key, and one after a gap as long as the history.
func BenchmarkImputation(b *testing.B) {
	for _, change := range []bool{false, true} {
		name := "SpikeAndDip"
		if change {
			name = "ChangePoint"
		}
		for _, size := range []int{120, 6000} {
			o := Options{Confidence: 95, History: size, Interval: second}
			b.Run(fmt.Sprintf("%s/first/%d", name, size), func(b *testing.B) {
				for b.Loop() {
					newDetector(b, o, change).Process(start, 20)
				}
			})
			b.Run(fmt.Sprintf("%s/gap/%d", name, size), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				d := newDetector(b, o, change)
				for at := start; b.Loop(); at += o.Interval * saql.Ticks(size+1) {
					d.Process(at, r.NormFloat64())
				}
			})
		}
	}
}

type process func(saql.Ticks, float64) Result

func run(b *testing.B, readings []float32, open func(history []float32) process) {
	const devices = 100
	var detectors [devices]process
	for i := range detectors {
		detectors[i] = open(readings[i:])
	}
	at, i, before := start, 0, cpu()
	for b.Loop() {
		if i%devices == 0 {
			at += second
		}
		detectors[i%devices](at, float64(readings[(i*31)%len(readings)]))
		i++
	}
	b.ReportMetric(float64(b.N)/(cpu()-before).Seconds(), "events/core-s")
}

// cpu returns the time that this process had a core: other processes do not count.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
