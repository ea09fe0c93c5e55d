package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/blobtest"
)

func open(t *testing.T) *Bucket {
	t.Helper()
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(server.Close)
	b, err := Open(Options{
		Endpoint: strings.TrimPrefix(server.URL, "http://"), Region: "us-east-1", Bucket: "lake", Prefix: "iot/prod",
		AccessKey: "key", SecretKey: "secret", Insecure: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.client.MakeBucket(t.Context(), "lake", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBucket(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return open(t) })
}

// TestLarge writes an object of several parts, reads it by ranges, and sees
// that it was replaced.
func TestLarge(t *testing.T) {
	b := open(t)
	var data bytes.Buffer
	for i := range 3_000_000 {
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
	if err := b.Put(t.Context(), "large", strings.NewReader(strings.Repeat("x", data.Len()))); err != nil {
		t.Fatal(err)
	}
	if _, err := o.ReadAt(got[:100], 1<<20); !errors.Is(err, blob.ErrChanged) {
		t.Errorf("reading what was replaced: %v", err)
	}
}
