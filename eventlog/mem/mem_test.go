package mem_test

import (
	"testing"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/eventlog/mem"
)

func TestContract(t *testing.T) {
	logtest.Run(t, func(t *testing.T, o logtest.Options) eventlog.Log {
		l := mem.New(mem.Options{Partitions: o.Partitions, Budget: int(o.Budget), MaxBytes: int(o.Keep), Now: o.Now})
		t.Cleanup(func() { l.Close() })
		return l
	})
}
