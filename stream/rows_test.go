package stream

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/telemetry"
)

func rowsOf(m telemetry.Message) []store.Document {
	h := NewHot(nil, nil, HotOptions{Speaks: func(sender, device string) bool {
		return sender == "gateway" && strings.HasPrefix(device, "leaf")
	}})
	r := &rower{ttl: time.Hour, speaks: h.o.Speaks, m: h.m, poison: h.deadLetter, odd: h.odd}
	b := newBatch(m.Partition + 1)
	r.add(b, &m)
	b.seal()
	return b.docs
}

func TestRows(t *testing.T) {
	const made = "~0002-0000000000ff-0000"
	tests := []struct {
		name string
		m    telemetry.Message
		want []string // device, id, data in turns
	}{
		{"object", telemetry.Message{Body: []byte(` {"t": 1.50} `)}, []string{"gateway", made + "0", `{"t": 1.50}`}},
		{"scalar", telemetry.Message{Body: []byte(`42`)}, []string{"gateway", made + "0", `42`}},
		{"byte order mark", telemetry.Message{Body: []byte("\xef\xbb\xbf{}")}, []string{"gateway", made + "0", `{}`}},
		{"array", telemetry.Message{Body: []byte(`[{"a":1}, [2] ]`)}, []string{"gateway", made + "0", `{"a":1}`, "gateway", made + "1", `[2]`}},
		{"empty array", telemetry.Message{Body: []byte(`[]`)}, nil},
		{"message id", telemetry.Message{MessageID: "m-1", Body: []byte(`{}`)}, []string{"gateway", "m-1", `{}`}},
		{"message id, array of one", telemetry.Message{MessageID: "m-1", Body: []byte(`[{}]`)}, []string{"gateway", "m-1", `{}`}},
		{"message id, array", telemetry.Message{MessageID: "m-1", Body: []byte(`[1,2]`)}, []string{"gateway", "m-1~i0", `1`, "gateway", "m-1~i1", `2`}},
		{"odd message id", telemetry.Message{MessageID: "~\x00é\xff", Body: []byte(`1`)}, []string{"gateway", "~~~x00é~xff", `1`}},
		{"long message id", telemetry.Message{MessageID: strings.Repeat("m", 300), Body: []byte(`1`)}, []string{"gateway", made + "0", `1`}},
		{"own device id", telemetry.Message{Body: []byte(`{"deviceId":"gateway"}`)}, []string{"gateway", made + "0", `{"deviceId":"gateway"}`}},
		{"leaf", telemetry.Message{Body: []byte(`{"deviceId":"leaf1"}`)}, []string{"leaf1", made + "0", `{"deviceId":"leaf1"}`}},
		{"leaf with message id", telemetry.Message{MessageID: "1", Body: []byte(`{"deviceId":"leaf1"}`)}, []string{"leaf1", "gateway~d1", `{"deviceId":"leaf1"}`}},
		{"leaves", telemetry.Message{Body: []byte(`[{"deviceId":"leaf1"},{"deviceId":"leaf2"},{}]`)},
			[]string{"leaf1", made + "0", `{"deviceId":"leaf1"}`, "leaf2", made + "1", `{"deviceId":"leaf2"}`, "gateway", made + "2", `{}`}},
		{"not allowed", telemetry.Message{Body: []byte(`{"deviceId":"other"}`)}, []string{"gateway", made + "0", `{"deviceId":"other"}`}},
		{"too long a device id", telemetry.Message{Body: []byte(`{"deviceId":"leaf` + strings.Repeat("x", 128) + `"}`)},
			[]string{"gateway", made + "0", `{"deviceId":"leaf` + strings.Repeat("x", 128) + `"}`}},
		{"NUL in device id", telemetry.Message{Body: []byte(`{"deviceId":"leaf\u0000"}`)}, []string{"gateway", made + "0", `{"deviceId":"leaf\u0000"}`}},
		{"no JSON", telemetry.Message{Body: []byte("\x01\x02")}, []string{"gateway", made + "0", `{"$body":"AQI="}`}},
		{"empty body", telemetry.Message{}, []string{"gateway", made + "0", `{"$body":""}`}},
		{"not UTF-8", telemetry.Message{MessageID: "x", Body: []byte("\"\xff\"")}, []string{"gateway", "x", `{"$body":"Iv8i"}`}},
		{"twin change", telemetry.Message{Source: telemetry.TwinChange, Body: []byte(`{}`)}, nil},
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.m.DeviceID, tt.m.Partition, tt.m.Seq, tt.m.EnqueuedAt = "gateway", 2, 255, at
			var got []string
			for _, d := range rowsOf(tt.m) {
				got = append(got, d.DeviceID, d.ID, string(d.Data))
				if !d.Time.Equal(at) || !d.Expires.Equal(at.Add(time.Hour)) || d.Generated != strings.HasPrefix(d.ID, made) {
					t.Errorf("%+v", d)
				}
				if err := d.Check(); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzChosenIDs has two messages for one document device: the same ID only for
// the same sender, message id and place in the array.
func FuzzChosenIDs(f *testing.F) {
	f.Add("d", "a", 0, 1, "d", "a~i0", 0, 2)
	f.Add("d", "x", 0, 1, "g", "d~dx", 0, 1)
	f.Add("g", "~", 0, 2, "g", "~~i0", 0, 1)
	f.Add("g", "\xff", 0, 1, "g", "~xff", 0, 1)
	f.Fuzz(func(t *testing.T, sender1, id1 string, index1, of1 int, sender2, id2 string, index2, of2 int) {
		if !usable(id1) || !usable(id2) || index1 < 0 || index1 >= of1 || index2 < 0 || index2 >= of2 || len(sender1) > maxDeviceID || len(sender2) > maxDeviceID {
			return // never such
		}
		a := appendChosen(nil, &telemetry.Message{DeviceID: sender1, MessageID: id1}, "d", index1, of1)
		b := appendChosen(nil, &telemetry.Message{DeviceID: sender2, MessageID: id2}, "d", index2, of2)
		same := sender1 == sender2 && id1 == id2 && index1 == index2 && (of1 > 1) == (of2 > 1)
		if (string(a) == string(b)) != same {
			t.Errorf("%q and %q", a, b)
		}
		made := appendGenerated(nil, &telemetry.Message{Partition: of1, Seq: int64(index1)}, index2)
		d := store.Document{ID: string(a), DeviceID: "d", Time: time.Unix(0, 0), Data: []byte("1")}
		if err := d.Check(); err != nil || string(a) == string(made) {
			t.Errorf("%q: %v", a, err)
		}
	})
}
