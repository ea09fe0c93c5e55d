package mem_test

import (
	"testing"
	"unsafe"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/telemetry"
)

func TestContract(t *testing.T) {
	logtest.Run(t, func(t *testing.T, o logtest.Options) eventlog.Log {
		l := mem.New(mem.Options{Partitions: o.Partitions, Budget: int(o.Budget), MaxBytes: int(o.Keep), Now: o.Now})
		t.Cleanup(func() { l.Close() })
		return l
	})
}

// TestSmallMessagesAreBounded: what a message takes beside its bytes counts too.
func TestSmallMessagesAreBounded(t *testing.T) {
	const keep, sent = 1 << 20, 20_000
	l := mem.New(mem.Options{Partitions: 1, MaxBytes: keep})
	defer l.Close()
	for range sent {
		l.Append([]telemetry.Message{{DeviceID: "d", Body: []byte("1")}}, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	kept := 0
	for batch, err := range l.Read(t.Context(), eventlog.Positions{0: eventlog.Oldest()}, eventlog.Positions{0: eventlog.After(sent - 1)}) {
		if err != nil {
			t.Fatal(err)
		}
		kept += len(batch.Messages)
	}
	if most := keep / int(unsafe.Sizeof(telemetry.Message{})); kept == 0 || kept > most {
		t.Errorf("%d messages kept, want 1 to %d", kept, most)
	}
}

// TestNewestStays: a bound below one message keeps the newest, so that a reader
// that fell behind finds a place to go on from.
func TestNewestStays(t *testing.T) {
	l := mem.New(mem.Options{Partitions: 1, MaxBytes: 1})
	for range 3 {
		logtest.Append(t, l, telemetry.Message{DeviceID: "a", Body: []byte("x")})
	}
	for b, err := range l.Read(t.Context(), eventlog.AllFrom(1, eventlog.Oldest()), eventlog.AllFrom(1, eventlog.Latest())) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Messages) == 1 && b.Messages[0].Seq == 2 {
			return
		}
	}
	t.Error("the newest message is gone")
}
