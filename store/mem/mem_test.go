package mem_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/mem"
	"github.com/weir-iot/weir/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, now func() time.Time) store.Store { return mem.New(now) })
}

// atStart is a clock that stands.
func atStart() time.Time { return storetest.Start }

// held is what a store of three devices has, as "device id".
func held(t *testing.T, s *mem.Store) (all []string) {
	t.Helper()
	for _, device := range []string{"a", "b", "c"} {
		for d, err := range s.Read(t.Context(), store.Range{DeviceID: device}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, device+" "+d.ID)
		}
	}
	slices.Sort(all)
	return all
}

// TestBound: beyond the size what came in first leaves first, whatever its own
// time; a document that is written again counts from then.
func TestBound(t *testing.T) {
	const data = 10_000
	text := `"` + strings.Repeat("x", data-2) + `"`
	s := mem.NewSized(atStart, 4*data)
	put := func(device, id string, hour int) {
		t.Helper()
		if err := s.Upsert(t.Context(), []store.Document{storetest.Doc(device, id, storetest.Start.Add(time.Duration(hour)*time.Hour), text)}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "1", 9)
	put("b", "2", 1)
	put("a", "3", 2)
	if diff := cmp.Diff([]string{"a 1", "a 3", "b 2"}, held(t, s)); diff != "" {
		t.Errorf("within the bound:\n%s", diff)
	}
	put("a", "1", 8) // again: b 2 and a 3 are older now, and its first arrival leaves
	put("c", "4", 3)
	if diff := cmp.Diff([]string{"a 1", "a 3", "c 4"}, held(t, s)); diff != "" {
		t.Errorf("beyond it:\n%s", diff)
	}
	for n := range 1000 {
		put("c", fmt.Sprint(n), n%24)
	}
	if got := held(t, s); len(got) != 3 || slices.Contains(got, "a 1") {
		t.Errorf("after a thousand more: %v", got)
	}
}

// TestBoundOfReplacements: what is written over and over costs no more than the
// bound either, and stays.
func TestBoundOfReplacements(t *testing.T) {
	s := mem.NewSized(atStart, 10_000)
	for n := range 10_000 {
		if err := s.Upsert(t.Context(), []store.Document{storetest.Doc("a", "same", storetest.Start.Add(time.Duration(n)), `1`)}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a same"}, held(t, s)); diff != "" {
		t.Error(diff)
	}
}
