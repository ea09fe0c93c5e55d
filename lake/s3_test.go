package lake

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/weir-iot/weir/blob/s3"
)

// TestS3 has a table in an object store, where reading is by ranges and another
// process is seen by its commits alone.
func TestS3(t *testing.T) {
	server := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithAutoBucket(true)).Server())
	t.Cleanup(server.Close)
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/lake", nil)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	bucket, err := s3.Open(s3.Options{Endpoint: strings.TrimPrefix(server.URL, "http://"), Region: "us-east-1", Bucket: "lake", AccessKey: "k", SecretKey: "s", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	m := newModelIn(t, bucket, 9)
	for range 5 {
		m.grow(t, 1000)
	}
	other := openTable(t, bucket, m.table.opts)
	if _, err := other.Compact(t.Context(), CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	q := Query{Device: "device-3"}
	if got, want := m.got(t, q), m.want(q); !slices.Equal(got, want) {
		t.Error(firstDifference(got, want))
	}
	m.checkSeries(t)
	clean(t, m.table)
}
