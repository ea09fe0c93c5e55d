package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
)

// counted is what a scan of the registry says.
func counted(t *testing.T, r hub.Registry) (s hub.Statistics) {
	t.Helper()
	for d, err := range r.Devices(t.Context(), hub.ID{}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.ModuleID != "" {
			continue
		}
		s.Total++
		if d.Status == hub.StatusDisabled {
			s.Disabled++
		} else {
			s.Enabled++
		}
	}
	return s
}

// Whatever is written, refused and deleted at the same time, the count is that
// of a scan, also in a hub that starts on the same registry.
func TestStatisticsAreThoseOfAScan(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(w, 0))
			for range 300 {
				id := hub.ID{Device: fmt.Sprint("d", rng.IntN(12))}
				if rng.IntN(4) == 0 {
					id.Module = "m"
				}
				status := []string{hub.StatusEnabled, hub.StatusDisabled, "neither"}[rng.IntN(3)]
				switch d := (&hub.Device{DeviceID: id.Device, ModuleID: id.Module, Status: status}); rng.IntN(3) {
				case 0: // most of these are refused
					_, _ = h.PutDevice(ctx, d, "")
				case 1:
					_, _ = h.PutDevice(ctx, d, "*")
				default:
					_ = h.DeleteDevice(ctx, id, []string{"*", "another"}[rng.IntN(2)])
				}
			}
		})
	}
	wg.Wait()
	want := counted(t, h.registry)
	again := newHub(t, func(o *hub.Options) { o.Registry = h.registry })
	for name, h := range map[string]*testHub{"kept": h, "read at the start": again} {
		if got, err := h.Statistics(ctx); err != nil || got != want {
			t.Errorf("%s: %+v, %v; a scan counts %+v", name, got, err, want)
		}
	}
}

// A clock that was set back while the hub was off repeats no generation.
func TestGenerationsGrowAcrossRestarts(t *testing.T) {
	h := newHub(t)
	before := h.device("a")
	again := newHub(t, func(o *hub.Options) {
		o.Registry = h.registry
		o.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	})
	if after := again.device("b"); after.GenerationID <= before.GenerationID {
		t.Errorf("generation %s after %s", after.GenerationID, before.GenerationID)
	}
}
