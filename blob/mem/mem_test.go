package mem

import (
	"testing"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/blobtest"
)

func TestBucket(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Bucket { return New() })
}
