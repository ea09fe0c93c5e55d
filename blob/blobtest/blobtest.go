// Package blobtest is the contract of blob as tests: every engine runs it. It
// promises that an engine which passes keeps objects whole, lets one of racing
// swaps win, and lists in order. It leaves out crashes, an engine's own matter.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/weir-iot/weir/blob"
)

// Run runs the suite; open returns an empty bucket.
func Run(t *testing.T, open func(*testing.T) blob.Bucket) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Bucket)
	}{
		{"PutOpen", testPutOpen},
		{"Swap", testSwap},
		{"RacingSwaps", testRacingSwaps},
		{"WholeObjects", testWholeObjects},
		{"OpenStays", testOpenStays},
		{"BrokenReader", testBrokenReader},
		{"List", testList},
		{"Delete", testDelete},
		{"Names", testNames},
		{"Cancelled", testCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func put(t *testing.T, b blob.Bucket, name, data string) {
	t.Helper()
	if err := b.Put(t.Context(), name, strings.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, b blob.Bucket, name string) (string, blob.Version) {
	t.Helper()
	data, v, err := blob.Read(t.Context(), b, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), v
}

func missing(t *testing.T, b blob.Bucket, name string) {
	t.Helper()
	o, err := b.Open(t.Context(), name)
	if !errors.Is(err, blob.ErrNotExist) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of an absent object: %v", err)
	}
	if err == nil {
		o.Close()
	}
}

func testPutOpen(t *testing.T, b blob.Bucket) {
	missing(t, b, "a/b")
	put(t, b, "a/b", "one")
	if got, v := get(t, b, "a/b"); got != "one" || v == blob.Absent {
		t.Errorf("%q of version %q", got, v)
	}
	missing(t, b, "a")
	put(t, b, "a/b", "another")
	if got, _ := get(t, b, "a/b"); got != "another" {
		t.Errorf("%q after the second Put", got)
	}
	put(t, b, "empty", "")
	if got, v := get(t, b, "empty"); got != "" || v == blob.Absent {
		t.Errorf("%q of version %q", got, v)
	}
	o, err := b.Open(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	part := make([]byte, 3)
	if n, err := o.ReadAt(part, 2); n != 3 || err != nil || string(part) != "oth" || o.Size() != 7 {
		t.Errorf("ReadAt gave %q, %v; the size is %d", part[:n], err, o.Size())
	}
}

func testSwap(t *testing.T, b blob.Bucket) {
	swap := func(old blob.Version, data string) (blob.Version, error) {
		return b.Swap(t.Context(), "x/y", old, strings.NewReader(data))
	}
	if _, err := swap("no-version", "0"); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("a swap of what is not there: %v", err)
	}
	missing(t, b, "x/y")
	v1, err := swap(blob.Absent, "1")
	if err != nil || v1 == blob.Absent {
		t.Fatalf("creating: version %q, %v", v1, err)
	}
	if _, err := swap(blob.Absent, "again"); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("creating what is there: %v", err)
	}
	v2, err := swap(v1, "2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := swap(v1, "late"); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("a swap from an old version: %v", err)
	}
	if got, v := get(t, b, "x/y"); got != "2" || v != v2 {
		t.Errorf("%q of version %q, want that of the swap, %q", got, v, v2)
	}
	put(t, b, "x/y", "3")
	if _, err := swap(v2, "late"); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("a swap behind a Put: %v", err)
	}
	_, v3 := get(t, b, "x/y")
	if _, err := swap(v3, "4"); err != nil {
		t.Errorf("a swap from what was read: %v", err)
	}
}

// testRacingSwaps counts up by many swappers: each success counts once.
func testRacingSwaps(t *testing.T, b blob.Bucket) {
	var wins atomic.Int64
	var wg sync.WaitGroup
	const swappers, each = 4, 15
	for range swappers {
		wg.Go(func() {
			for range each {
				n, old := 0, blob.Absent
				if data, v, err := blob.Read(t.Context(), b, "counter"); err == nil {
					old = v
					_, _ = fmt.Sscan(string(data), &n)
				} else if !errors.Is(err, blob.ErrNotExist) {
					t.Error(err)
				}
				_, err := b.Swap(t.Context(), "counter", old, strings.NewReader(fmt.Sprint(n+1)))
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, blob.ErrChanged) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, _ := get(t, b, "counter"); got != fmt.Sprint(wins.Load()) || wins.Load() < each {
		t.Errorf("the counter is %s after %d successful swaps", got, wins.Load())
	}
}

// testWholeObjects reads while others write objects of one letter each.
func testWholeObjects(t *testing.T, b blob.Bucket) {
	write := func(letter int) error {
		data := bytes.Repeat([]byte{byte('a' + letter)}, 10000+10000*letter)
		return b.Put(t.Context(), "big", iotest.OneByteReader(bytes.NewReader(data)))
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for letter := range 3 {
		wg.Go(func() {
			for range 10 {
				if err := write(letter); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 60 {
			data, _, err := blob.Read(t.Context(), b, "big")
			if err != nil {
				t.Error(err)
				return
			}
			letter := data[0]
			if len(data) != 10000+10000*int(letter-'a') || bytes.Count(data, []byte{letter}) != len(data) {
				t.Errorf("a reader saw %d bytes, of which %d are %q", len(data), bytes.Count(data, []byte{letter}), letter)
			}
		}
	})
	wg.Wait()
}

func testOpenStays(t *testing.T, b blob.Bucket) {
	put(t, b, "a", "before")
	o, err := b.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	put(t, b, "a", "after")
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil || string(data) != "before" {
		t.Errorf("an open object became %q, %v", data, err)
	}
}

func testBrokenReader(t *testing.T, b blob.Bucket) {
	put(t, b, "a", "kept")
	broken := errors.New("broken")
	r := func() io.Reader { return io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)) }
	if err := b.Put(t.Context(), "a", r()); !errors.Is(err, broken) {
		t.Errorf("Put: %v", err)
	}
	if _, err := b.Swap(t.Context(), "new", blob.Absent, r()); !errors.Is(err, broken) {
		t.Errorf("Swap: %v", err)
	}
	if got, _ := get(t, b, "a"); got != "kept" {
		t.Errorf("what was there became %q", got)
	}
	missing(t, b, "new")
}

func list(t *testing.T, b blob.Bucket, prefix string) (names []string) {
	t.Helper()
	for name, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

func testList(t *testing.T, b blob.Bucket) {
	all := []string{"a-b", "a/x", "a/y/z", "a0", "b", "job/1", "job/10", "job/2", "jobs/1"}
	for _, i := range []int{3, 0, 8, 2, 7, 1, 5, 6, 4} {
		put(t, b, all[i], "")
	}
	for prefix, want := range map[string][]string{
		"": all, "a": all[:4], "a/": all[1:3], "job/1": all[5:7], "job": all[5:], "a/y/z": all[2:3], "a/y/zz": nil, "none/": nil,
	} {
		if got := list(t, b, prefix); !slices.Equal(got, want) {
			t.Errorf("List(%q) = %q, want %q", prefix, got, want)
		}
	}
	for range b.List(t.Context(), "") {
		break
	}
}

func testDelete(t *testing.T, b blob.Bucket) {
	put(t, b, "a/b", "1")
	put(t, b, "a/c", "2")
	_, v := get(t, b, "a/b")
	for range 2 {
		if err := b.Delete(t.Context(), "a/b"); err != nil {
			t.Error(err)
		}
	}
	if err := b.Delete(t.Context(), "never/was"); err != nil {
		t.Error(err)
	}
	missing(t, b, "a/b")
	if _, err := b.Swap(t.Context(), "a/b", v, strings.NewReader("")); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("a swap of what was deleted: %v", err)
	}
	if got := list(t, b, ""); !slices.Equal(got, []string{"a/c"}) {
		t.Errorf("%q is left", got)
	}
}

func testNames(t *testing.T, b blob.Bucket) {
	long := strings.Repeat("x", 200)
	for _, name := range []string{"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", "a/.b", `a\b`, "a:b", "a\x00b", "ä", long + "x", strings.Repeat("a/", 600) + "a"} {
		if err := b.Put(t.Context(), name, strings.NewReader("")); !errors.Is(err, blob.ErrName) {
			t.Errorf("Put(%.20q): %v", name, err)
		}
		if _, err := b.Swap(t.Context(), name, blob.Absent, strings.NewReader("")); !errors.Is(err, blob.ErrName) {
			t.Errorf("Swap(%.20q): %v", name, err)
		}
		if _, err := b.Open(t.Context(), name); !errors.Is(err, blob.ErrName) {
			t.Errorf("Open(%.20q): %v", name, err)
		}
		if err := b.Delete(t.Context(), name); !errors.Is(err, blob.ErrName) {
			t.Errorf("Delete(%.20q): %v", name, err)
		}
	}
	for _, name := range []string{"a", "A b/c.d-e_f=1,2+3@~%4", long + "/" + long} {
		put(t, b, name, name)
		if got, _ := get(t, b, name); got != name {
			t.Errorf("%q holds %q", name, got)
		}
	}
}

func testCancelled(t *testing.T, b blob.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	put(t, b, "a", "")
	if err := b.Put(ctx, "a", strings.NewReader("")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if _, err := b.Open(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
	for _, err := range b.List(ctx, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("List: %v", err)
		}
	}
}
