package disk

import (
	"context"
	"fmt"
	"testing"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

func TestQuick(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		l, err := Open(dir, Options{SegmentBytes: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for i := range 1000 {
			ch := make(chan error)
			l.Append([]telemetry.Message{{DeviceID: fmt.Sprint("d", i%10), Body: []byte(fmt.Sprint("body", round, i))}}, func(err error) { ch <- err })
			if err := <-ch; err != nil {
				t.Fatal(err)
			}
		}
		for b, err := range l.Read(context.Background(), eventlog.AllFrom(4, eventlog.Oldest()), eventlog.AllFrom(4, eventlog.Latest())) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(b.Messages)
		}
		if n != 1000*(round+1) {
			t.Fatal(n)
		}
		t.Log(l.Stats())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
