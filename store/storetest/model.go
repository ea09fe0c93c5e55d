package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/store"
)

// model is a store as a reader of the contract would write it on one page.
type model map[string]store.Document // by device and ID

func (m model) read(r store.Range, now time.Time) (docs []store.Document) {
	for _, d := range m {
		in := d.DeviceID == r.DeviceID && !d.Time.Before(r.From) && (r.To.IsZero() || d.Time.Before(r.To))
		if in && !d.Expired(now) && (r.Before == (store.Cursor{}) || d.Cursor().Compare(r.Before) < 0) {
			docs = append(docs, d)
		}
	}
	slices.SortFunc(docs, func(a, b store.Document) int { return b.Cursor().Compare(a.Cursor()) })
	if r.Limit > 0 && len(docs) > r.Limit {
		docs = docs[:r.Limit]
	}
	return docs
}

// testModel compares with the model after random upserts, reads and steps of
// the clock; the same few IDs and times come again and again.
func testModel(t *testing.T, s store.Store, c *Clock) {
	rnd := rand.New(rand.NewPCG(1, 2))
	m := make(model)
	device := func() string { return fmt.Sprint("d", rnd.IntN(3)) }
	when := func() time.Time { return c.Now().Add(-time.Duration(rnd.IntN(40)) * 3 * time.Hour) }
	ttls := []time.Duration{0, time.Hour, 26 * time.Hour, 9 * 24 * time.Hour}
	generated := 0
	for step := range 600 {
		var docs []store.Document
		for range rnd.IntN(12) {
			at := when()
			d := store.Document{ID: fmt.Sprint("i", rnd.IntN(40)), DeviceID: device(), Time: at, Data: fmt.Append(nil, step)}
			if rnd.IntN(3) == 0 {
				generated++
				d.ID, d.Generated = fmt.Sprintf("~%06d", generated), true
			}
			if ttl := ttls[rnd.IntN(len(ttls))]; ttl > 0 {
				d.Expires = at.Add(ttl)
			}
			docs = append(docs, d)
			m[d.DeviceID+"\x00"+d.ID] = d
		}
		upsert(t, s, docs...)
		switch rnd.IntN(10) {
		case 0:
			c.Advance(time.Duration(rnd.IntN(20)) * time.Hour)
		case 1:
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r := store.Range{DeviceID: device(), Limit: rnd.IntN(3) * rnd.IntN(20)}
		if rnd.IntN(2) == 0 {
			r.From = when()
		}
		if rnd.IntN(2) == 0 {
			r.To = when()
		}
		if rnd.IntN(2) == 0 {
			r.Before = store.Cursor{Time: when(), ID: fmt.Sprint("i", rnd.IntN(40))}
		}
		if diff := cmp.Diff(m.read(r, c.Now()), Collect(t, s, r)); diff != "" {
			t.Fatalf("step %d, %+v at %v: %s", step, r, c.Now(), strings.TrimSpace(diff))
		}
	}
}
