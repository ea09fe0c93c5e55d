package disk

import (
	"testing"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
)

func TestContract(t *testing.T) {
	for _, level := range []Level{Sync, Interval(time.Millisecond), Memory} {
		t.Run(level.String(), func(t *testing.T) {
			logtest.Run(t, func(t *testing.T, o logtest.Options) eventlog.Log {
				return mustOpen(t, t.TempDir(), contractOptions(o, level))
			})
		})
	}
}

func contractOptions(o logtest.Options, level Level) Options {
	out := Options{Partitions: o.Partitions, Budget: o.Budget, MaxBytes: o.Keep, Now: o.Now, Level: level}
	out.SegmentBytes = 1 << 16
	out.Idle = 10 * time.Millisecond
	return out
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
