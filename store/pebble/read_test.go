package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

// A patience is a context that ends after being asked so many times.
type patience struct {
	context.Context
	left int
}

func (p *patience) Err() error {
	if p.left--; p.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestReadAmongExpired: a read that finds nothing but expired documents ends
// with its context, not with the device.
func TestReadAmongExpired(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, "", pebble.Options{FS: vfs.NewMem(), Now: clock.Now, SweepEvery: time.Hour})
	defer s.Close()
	var docs []store.Document
	for i := range 1000 {
		d := storetest.Doc("d", fmt.Sprint(i), storetest.Start.Add(time.Duration(i)), `1`)
		d.Expires = d.Time.Add(time.Hour)
		docs = append(docs, d)
	}
	if err := s.Upsert(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	clock.Advance(2 * time.Hour)
	var last error
	for _, err := range s.Read(&patience{t.Context(), 100}, store.Range{DeviceID: "d"}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the read ended with %v", last)
	}
}
