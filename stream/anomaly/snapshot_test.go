package anomaly

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/weir-iot/weir/saql"
)

// A detector that is restored again and again goes on as an undisturbed one.
func TestRestoredDetectorGoesOn(t *testing.T) {
	for _, change := range []bool{false, true} {
		for _, history := range []int{1, 7, 60} {
			t.Run(fmt.Sprint(change, history), func(t *testing.T) {
				o := Options{Confidence: 80, History: history, Interval: second}
				calm, restored := newDetector(t, o, change), newDetector(t, o, change)
				r := rand.New(rand.NewPCG(5, 6))
				at := start
				for i := range 200 {
					state := restored.Snapshot([]byte("before"))
					if !bytes.Equal(state, calm.Snapshot([]byte("before"))) {
						t.Fatalf("event %d: the states differ", i)
					}
					restored = newDetector(t, o, change)
					if err := restored.Restore(state[len("before"):]); err != nil {
						t.Fatal(err)
					}
					at += second * saql.Ticks(r.IntN(4))
					x := r.NormFloat64()
					if got, want := restored.Process(at, x), calm.Process(at, x); !same(got, want) {
						t.Fatalf("event %d: got %+v, want %+v", i, got, want)
					}
				}
			})
		}
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	for _, change := range []bool{false, true} {
		o := Options{Confidence: 80, History: 5, Interval: second}
		d := newDetector(t, o, change)
		d.Process(start, 1)
		state := d.Snapshot(nil)
		for n := range state {
			if err := d.Restore(state[:n]); err == nil {
				t.Errorf("%d of %d bytes are accepted", n, len(state))
			}
		}
		if err := d.Restore(append(bytes.Clone(state), 0)); err == nil {
			t.Error("a byte too many is accepted")
		}
		shorter := newDetector(t, Options{Confidence: 80, History: 4, Interval: second}, change)
		if err := shorter.Restore(state); err == nil {
			t.Error("the state of a longer history is accepted")
		}
		if !bytes.Equal(d.Snapshot(nil), state) {
			t.Error("a refused state changed the detector")
		}
	}
}

func FuzzRestore(f *testing.F) {
	o := Options{Confidence: 80, History: 5, Interval: second}
	for _, change := range []bool{false, true} {
		d := newDetector(f, o, change)
		f.Add(d.Snapshot(nil))
		d.Process(start, 1)
		f.Add(d.Snapshot(nil))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		for _, change := range []bool{false, true} {
			d := newDetector(t, o, change)
			if d.Restore(state) != nil {
				continue
			}
			if again := d.Snapshot(nil); !bytes.Equal(again, state) {
				t.Errorf("restored %x, kept %x", state, again)
			}
			d.Process(start, 2)
		}
	})
}
