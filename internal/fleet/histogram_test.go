package fleet

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram has quantiles")
	}
	var all []time.Duration
	for range 100_000 {
		d := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		h.Record(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999} {
		exact, got := all[int(q*float64(len(all)))], h.Quantile(q)
		if off := float64(got-exact) / float64(exact); off < -0.02 || off > 0.02 {
			t.Errorf("quantile %v is %v, exactly %v", q, got, exact)
		}
	}
	if h.Max() != all[len(all)-1] || h.Quantile(1) > h.Max() {
		t.Errorf("max %v, want %v", h.Max(), all[len(all)-1])
	}
	h.Record(-time.Second)
	h.Record(1<<63 - 1)
	if h.Max() != 1<<63-1 {
		t.Errorf("the longest duration there is came back as %v", h.Max())
	}
}

// Every bucket's value lies in it.
func TestBuckets(t *testing.T) {
	for i := range len(Histogram{}.counts) {
		if v := value(i); v >= 0 && bucket(uint64(v)) != i {
			t.Fatalf("bucket %d has value %d, which is in bucket %d", i, v, bucket(uint64(v)))
		}
	}
}
