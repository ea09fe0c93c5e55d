package dir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/blobtest"
)

func open(t *testing.T, folder string) *Bucket {
	t.Helper()
	b, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestBucket(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return open(t, t.TempDir()) })
}

// TestTwoProcesses has two buckets in one folder, as two processes have: they
// share no mutex, and still only one of two swaps from a version wins.
func TestTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	buckets := []*Bucket{open(t, folder), open(t, folder)}
	version := blob.Absent
	for round := range 30 {
		var wins atomic.Int64
		var next atomic.Value
		var wg sync.WaitGroup
		for i, b := range buckets {
			wg.Go(func() {
				v, err := b.Swap(t.Context(), "owner", version, strings.NewReader(string(rune('a'+i))+time.Now().String()))
				if err == nil {
					wins.Add(1)
					next.Store(v)
				} else if !errors.Is(err, blob.ErrChanged) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d of 2 won", round, wins.Load())
		}
		version = next.Load().(blob.Version)
	}
}

// TestSymbolicLink refuses a link that leads out of the folder.
func TestSymbolicLink(t *testing.T) {
	outside, folder := t.TempDir(), t.TempDir()
	b := open(t, folder)
	if err := os.Symlink(outside, filepath.Join(folder, "out")); err != nil {
		t.Skip("needs symbolic links:", err)
	}
	if err := b.Put(t.Context(), "out/a", strings.NewReader("x")); err == nil {
		t.Error("Put went through the link")
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("%d entries outside", len(left))
	}
}

// TestLeftover removes what a crash left, but not what may still be written.
func TestLeftover(t *testing.T) {
	folder := t.TempDir()
	for name, age := range map[string]time.Duration{".tmp-old": 25 * time.Hour, ".tmp-new": time.Hour} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, folder)
	for name, err := range b.List(t.Context(), "") {
		t.Errorf("listed %q, %v", name, err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".tmp-*")); len(left) != 1 || filepath.Base(left[0]) != ".tmp-new" {
		t.Errorf("%q is left", left)
	}
}

// TestNoRests has no temporary file left after successes and failures.
func TestNoRests(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	for range 3 {
		_, _ = b.Swap(t.Context(), "a", blob.Absent, strings.NewReader("x"))
		_ = b.Put(t.Context(), "a/b", strings.NewReader("x")) // "a" is a file
		_ = b.Put(t.Context(), "a", strings.NewReader("y"))
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".tmp-*")); len(left) != 0 {
		t.Errorf("%q is left", left)
	}
}
