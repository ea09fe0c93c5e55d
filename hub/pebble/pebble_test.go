package pebble_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	pebbledb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/pebble"
	"github.com/weir-iot/weir/hub/registrytest"
)

func open(t *testing.T, fs vfs.FS) *pebble.Registry {
	t.Helper()
	r, err := pebble.Open("registry", pebble.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestContract(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) hub.Registry { return open(t, vfs.NewMem()) })
}

func TestReopen(t *testing.T) {
	dir := t.TempDir() + "/registry"
	id := hub.ID{Device: "d"}
	r, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v: want mode 0700, it holds keys", info.Mode(), err)
	}
	if err := r.Write(t.Context(), hub.PutDevice{Device: registrytest.Device(id, "1")}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d, err := r.Device(t.Context(), id)
	if diff := cmp.Diff(registrytest.Device(id, "1"), d); err != nil || diff != "" {
		t.Errorf("after opening again: %v\n%s", err, diff)
	}
}

// TestPowerCut cuts the power while four writers are at work: what Write
// acknowledged before is there afterwards.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(20) {
		fs := vfs.NewCrashableMem()
		r := open(t, fs)
		var mu sync.Mutex
		acknowledged := map[string]bool{}
		var wg sync.WaitGroup
		start := make(chan struct{})
		for w := range 4 {
			wg.Go(func() {
				for n := range 25 {
					id := hub.ID{Device: fmt.Sprintf("d%d-%d", w, n)}
					if err := r.Write(t.Context(), hub.PutDevice{Device: registrytest.Device(id, "1")}); err != nil {
						t.Errorf("write: %v", err)
					}
					mu.Lock()
					acknowledged[id.Device] = true
					if len(acknowledged) == 40 {
						close(start)
					}
					mu.Unlock()
				}
			})
		}
		<-start
		mu.Lock()
		want := make([]string, 0, len(acknowledged))
		for id := range acknowledged {
			want = append(want, id)
		}
		cut := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed) * 5, RNG: rand.New(rand.NewPCG(seed, 0))})
		mu.Unlock()
		wg.Wait()
		_ = r.Close()

		after := open(t, cut)
		for _, id := range want {
			if _, err := after.Device(t.Context(), hub.ID{Device: id}); err != nil {
				t.Errorf("seed %d: %s was acknowledged: %v", seed, id, err)
			}
		}
		_ = after.Close()
	}
}

func TestLaterFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	db, err := pebbledb.Open("registry", &pebbledb.Options{FS: fs, Logger: pebbledb.DefaultLogger})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("\x00format"), []byte("2"), pebbledb.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = pebble.Open("registry", pebble.Options{FS: fs})
	if err == nil || !strings.Contains(err.Error(), `format is "2"`) {
		t.Errorf("open: %v", err)
	}
}

// TestDamageIsSaid with what to do: the registry exists nowhere else.
func TestDamageIsSaid(t *testing.T) {
	dir := t.TempDir()
	r, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(dir + "/MANIFEST-*")
	if err != nil || len(manifests) != 1 {
		t.Fatal(manifests, err)
	}
	if err := os.WriteFile(manifests[0], []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(dir, pebble.Options{}); err == nil || !strings.Contains(err.Error(), "restore the folder from a copy") {
		t.Errorf("open: %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	r, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		id := hub.ID{Device: fmt.Sprint("d", rand.Int64())}
		for n := 0; pb.Next(); n++ {
			e := hub.Entry{Queue: id.Device, Sequence: int64(n), Data: []byte("data")}
			if err := r.Write(b.Context(), hub.PutEntry{Entry: e}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDevice(b *testing.B) {
	r, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	id := hub.ID{Device: "d"}
	if err := r.Write(b.Context(), hub.PutDevice{Device: registrytest.Device(id, "1")}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Device(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
}
