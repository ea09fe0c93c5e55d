package adls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/blobtest"
	"github.com/weir-iot/weir/internal/need"
)

// The account that Azurite has, with its published key.
const (
	account = "devstoreaccount1"
	key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// azurite starts Microsoft's emulator and returns its endpoint.
func azurite(t *testing.T) string {
	t.Helper()
	program, err := filepath.Abs("../../e2e/node/node_modules/.bin/azurite-blob")
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat(program)
	need.That(t, err == nil, "Azurite: make e2e-node")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	c := exec.Command(program, "--blobPort", port, "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	buf := make([]byte, 1<<10)
	for said := ""; !strings.Contains(said, "successfully listens"); {
		n, err := out.Read(buf)
		if said += string(buf[:n]); err != nil {
			t.Fatalf("Azurite: %v: %s", err, said)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return "http://127.0.0.1:" + port + "/" + account
}

func TestBucket(t *testing.T) {
	endpoint := azurite(t)
	n := 0
	open := func(t *testing.T) *Bucket {
		n++
		b, err := Open(Options{Account: account, Key: key, Endpoint: endpoint, Container: fmt.Sprint("lake", n), Prefix: "iot/prod"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.container.Create(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		return b
	}
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return open(t) })
	t.Run("Large", func(t *testing.T) { testLarge(t, open(t)) })
	t.Run("Folders", func(t *testing.T) { testFolders(t, open(t)) })
}

// testLarge writes a blob of several blocks, reads it by ranges, and sees that
// it was replaced.
func testLarge(t *testing.T, b *Bucket) {
	var data bytes.Buffer
	for i := range 1_500_000 {
		fmt.Fprintf(&data, "%d,", i)
	}
	if err := b.Put(t.Context(), "large", bytes.NewReader(data.Bytes())); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil || !bytes.Equal(got, data.Bytes()) {
		t.Errorf("%d of %d bytes, %v", len(got), data.Len(), err)
	}
	if o, err = b.Open(t.Context(), "large"); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "large", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.ReadAt(got[:100], 1<<20); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("reading what was replaced: %v", err)
	}
}

// testFolders has what a hierarchical namespace shows for a folder: an empty
// blob with a mark.
func testFolders(t *testing.T, b *Bucket) {
	yes := "true"
	c := b.container.NewBlockBlobClient(b.prefix + "a")
	if _, err := c.UploadBuffer(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetMetadata(t.Context(), map[string]*string{"hdi_isfolder": &yes}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "a/b", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), "a"); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("opening a folder: %v", err)
	}
	for name, err := range b.List(t.Context(), "") {
		if err != nil || name != "a/b" {
			t.Errorf("listed %q, %v", name, err)
		}
	}
}
