package pebble_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

type noLog struct{}

func (noLog) Append(_ []telemetry.Message, done func(error)) { done(nil) }

// start runs a hub on what is on fs.
func start(t *testing.T, fs vfs.FS) *hub.Hub {
	t.Helper()
	r := open(t, fs)
	h, err := hub.New(hub.Options{Registry: r, Log: noLog{}, Policies: hub.NewPolicies()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = h.Close(), r.Close() })
	return h
}

// TestHubKeepsWhatItAnswered cuts the power after every answer of the hub, with
// nothing kept that was not synced.
func TestHubKeepsWhatItAnswered(t *testing.T) {
	fs := vfs.NewCrashableMem()
	h := start(t, fs)
	ctx, id := t.Context(), hub.ID{Device: "d"}
	var s *hub.Session
	for _, step := range []struct {
		name  string
		do    func() error
		check func(h *hub.Hub) bool
	}{
		{"create", func() error {
			d, err := h.PutDevice(ctx, &hub.Device{DeviceID: "d"}, "")
			if err != nil {
				return err
			}
			s = connect(t, h, d)
			return nil
		}, func(h *hub.Hub) bool { _, err := h.TwinOf(ctx, id); return err == nil }},
		{"desired", func() error {
			_, err := h.PatchTwin(ctx, id, []byte(`{"properties":{"desired":{"a":1}}}`), "")
			return err
		}, func(h *hub.Hub) bool { twin, err := h.TwinOf(ctx, id); return err == nil && twin.Desired.Version == 2 }},
		{"report", func() error {
			_, err := s.Report(ctx, []byte(`{"b":1}`))
			return err
		}, func(h *hub.Hub) bool { twin, err := h.TwinOf(ctx, id); return err == nil && twin.Reported.Version == 2 }},
		{"message", func() error {
			return h.SendToDevice(ctx, id, &hub.CloudMessage{Body: []byte("x")})
		}, func(h *hub.Hub) bool { return count(ctx, h, id) == 1 }},
		{"complete", func() error {
			m, err := s.Receive(ctx)
			if err != nil {
				return err
			}
			return s.Complete(ctx, m.LockToken)
		}, func(h *hub.Hub) bool { return count(ctx, h, id) == 0 }},
		{"delete", func() error { return h.DeleteDevice(ctx, id, "*") }, func(h *hub.Hub) bool {
			_, err := h.Device(ctx, id)
			return err != nil
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		cut := fs.CrashClone(vfs.CrashCloneCfg{RNG: rand.New(rand.NewPCG(1, 1))})
		if !step.check(start(t, cut)) {
			t.Errorf("%s was answered and is lost", step.name)
		}
	}
}

// A thousand devices that report at once do not wait for a thousand syncs, on
// a disk whose syncs take a millisecond.
func TestReportsShareSyncs(t *testing.T) {
	const devices = 1000
	var syncs atomic.Int64
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
			syncs.Add(1)
			time.Sleep(time.Millisecond)
		}
		return nil
	}))
	h := start(t, fs)
	sessions := make([]*hub.Session, devices)
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			d, err := h.PutDevice(t.Context(), &hub.Device{DeviceID: fmt.Sprint("d", i)}, "")
			if err != nil {
				t.Error(err)
				return
			}
			sessions[i] = connect(t, h, d)
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	before := syncs.Load()
	for _, s := range sessions {
		wg.Go(func() {
			if _, err := s.Report(t.Context(), []byte(`{"a":1}`)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := syncs.Load() - before
	t.Logf("%d reports took %d syncs", devices, n)
	if n == 0 || n > devices/5 {
		t.Errorf("%d reports took %d syncs", devices, n)
	}
}

func count(ctx context.Context, h *hub.Hub, id hub.ID) int {
	d, err := h.Device(ctx, id)
	if err != nil {
		return -1
	}
	return d.CloudToDeviceMessageCount
}

func connect(t *testing.T, h *hub.Hub, d *hub.Device) *hub.Session {
	t.Helper()
	token, err := sas.Sign("h/devices/"+d.DeviceID, string(d.Authentication.SymmetricKey.PrimaryKey), "", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
