package anomaly

import (
	"fmt"
	"math/rand/v2"
	"testing"

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

type process func(saql.Ticks, float64) Result

func run(b *testing.B, readings []float32, open func(history []float32) process) {
	const devices = 100
	var detectors [devices]process
	for i := range detectors {
		detectors[i] = open(readings[i:])
	}
	at, i := start, 0
	for b.Loop() {
		if i%devices == 0 {
			at += second
		}
		detectors[i%devices](at, float64(readings[(i*31)%len(readings)]))
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
