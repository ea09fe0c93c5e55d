package logtest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// testRoundTrip: every field comes back as it was given, with what Append set.
func testRoundTrip(t *testing.T, open Opener) {
	l := open(t, Options{Partitions: 4})
	var want []telemetry.Message
	for _, m := range samples() {
		in := []telemetry.Message{m}
		Append(t, l, in...)
		if !cmp.Equal(in[0], withSet(m, in[0]), opaque) {
			t.Errorf("Append changed more than Partition, Seq and EnqueuedAt: %+v", in[0])
		}
		want = append(want, in[0])
	}
	for p := range 4 {
		from, until := eventlog.Positions{p: eventlog.Oldest()}, eventlog.Positions{p: eventlog.Latest()}
		got, err := Collect(deadline(t), l, from, until)
		if err != nil {
			t.Fatal(err)
		}
		var ours []telemetry.Message
		for _, m := range want {
			if m.Partition == p {
				ours = append(ours, m)
			}
		}
		if d := cmp.Diff(ours, got, opaque); d != "" {
			t.Errorf("partition %d (-want +got):\n%s", p, d)
		}
	}
}

// opaque compares bodies as a whole: large ones quickly, and an absent one as
// empty.
var opaque = cmp.Comparer(bytes.Equal)

func withSet(m, set telemetry.Message) telemetry.Message {
	m.Partition, m.Seq, m.EnqueuedAt = set.Partition, set.Seq, set.EnqueuedAt
	return m
}

func samples() []telemetry.Message {
	all := []telemetry.Message{
		{},
		{DeviceID: "a", ModuleID: "m", MessageID: "id", ContentType: "application/json", Encoding: "utf-8", Body: []byte(`{"t":1}`)},
		{DeviceID: "bytes", Body: []byte{0, 0xff, 0x80, '\n'}, MessageID: "\xff\x00é"},
		{DeviceID: "bags",
			System:     telemetry.Properties{{Key: telemetry.CorrelationID, Value: "1"}, {Key: telemetry.To, Null: true}},
			Properties: telemetry.Properties{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}, {Key: "null", Null: true}, {Key: "empty"}, {Key: "", Value: "no key"}}},
		{DeviceID: "big", Body: bytes.Repeat([]byte("0123456789abcdef"), (eventlog.MaxMessage-4096)/16)},
		{DeviceID: "many", Properties: make(telemetry.Properties, 0, 1000)},
		{DeviceID: "long", ContentType: string(bytes.Repeat([]byte("x"), 70_000))},
	}
	for i := range 1000 {
		p := &all[5].Properties
		*p = append(*p, telemetry.Property{Key: fmt.Sprint("key", i), Value: fmt.Sprint("value", i)})
	}
	for s := telemetry.Telemetry; s <= telemetry.ConnectionState; s++ {
		all = append(all, telemetry.Message{DeviceID: "source", Source: s})
	}
	return all
}
