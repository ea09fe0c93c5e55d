//go:build !race

package disk

import (
	"testing"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// TestAllocations: nothing is allocated per message, appending or reading.
// The race detector allocates, so that there this test is none.
func TestAllocations(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{Level: Memory})
	msgs := make([]telemetry.Message, 1000)
	for i := range msgs {
		msgs[i] = benchMessage(i)
	}
	durable := make(chan error, 1)
	done := func(err error) { durable <- err }
	appending := testing.AllocsPerRun(20, func() {
		l.Append(msgs, done)
		<-durable
	})
	if appending > 20 {
		t.Errorf("appending 1000 messages allocates %v times", appending)
	}
	reading := testing.AllocsPerRun(1, func() {
		for _, err := range l.Read(t.Context(), eventlog.AllFrom(4, eventlog.Oldest()), eventlog.AllFrom(4, eventlog.Latest())) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if reading > 200 {
		t.Errorf("reading 20,000 messages allocates %v times", reading)
	}
}
