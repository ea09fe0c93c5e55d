package mem_test

import (
	"testing"
	"time"

	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/mem"
	"github.com/weir-iot/weir/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, now func() time.Time) store.Store { return mem.New(now) })
}
