// Package registrytest is the contract of hub.Registry: every engine runs Run.
package registrytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-iot/weir/hub"
)

// Run tests the engine that open makes: an empty one at each call.
func Run(t *testing.T, open func(t *testing.T) hub.Registry) {
	for _, c := range []struct {
		name string
		test func(*testing.T, hub.Registry)
	}{
		{"put and read back", putAndRead},
		{"missing", missing},
		{"conditions", conditions},
		{"all or nothing", allOrNothing},
		{"order", order},
		{"activity", activity},
		{"queues", queues},
		{"delete takes everything along", deleteDevice},
		{"nothing shared", nothingShared},
		{"one of many writers wins", race},
		{"closed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t)
			t.Cleanup(func() { _ = r.Close() })
			c.test(t, r)
		})
	}
	t.Run("model", func(t *testing.T) { model(t, open) })
}

// Device makes an identity with an etag; the module's name is "" for a device.
func Device(id hub.ID, etag string) *hub.Device {
	return &hub.Device{
		DeviceID: id.Device, ModuleID: id.Module, ETag: etag, GenerationID: "g", Status: hub.StatusEnabled,
		Authentication: &hub.Authentication{
			Type:         hub.AuthSAS,
			SymmetricKey: hub.SymmetricKey{PrimaryKey: "cHJpbWFyeS1rZXktMTIzNA==", SecondaryKey: "c2Vjb25kYXJ5LWtleS0xMg=="},
		},
	}
}

// Twin makes a twin of a version with a value in every part.
func Twin(version int64) *hub.Twin {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	return &hub.Twin{
		ETag: "e", Version: version, ModelID: "dtmi:a;1",
		Tags: map[string]any{"site": "north"},
		Desired: hub.Section{Version: 3, Values: map[string]any{"n": json.Number("1.50")},
			Metadata: &hub.Metadata{Updated: at, Version: 3, Children: map[string]*hub.Metadata{"n": {Updated: at, Version: 3}}}},
		Reported: hub.Section{Version: 4, Values: map[string]any{"deep": map[string]any{"list": []any{"a", true}}},
			Metadata: &hub.Metadata{Updated: at, Children: map[string]*hub.Metadata{
				"deep": {Updated: at, Children: map[string]*hub.Metadata{"list": {Updated: at}}}}}},
	}
}

func write(t *testing.T, r hub.Registry, changes ...hub.Change) {
	t.Helper()
	if err := r.Write(t.Context(), changes...); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func create(t *testing.T, r hub.Registry, id hub.ID) {
	t.Helper()
	write(t, r, hub.PutDevice{Device: Device(id, "1")}, hub.PutTwin{ID: id, Twin: Twin(1)})
}

func putAndRead(t *testing.T, r hub.Registry) {
	for _, id := range []hub.ID{{Device: "d"}, {Device: "d", Module: "m"}} {
		create(t, r, id)
		d, err := r.Device(t.Context(), id)
		if diff := cmp.Diff(Device(id, "1"), d); err != nil || diff != "" {
			t.Errorf("device %s: %v\n%s", id, err, diff)
		}
		twin, err := r.Twin(t.Context(), id)
		if diff := cmp.Diff(Twin(1), twin); err != nil || diff != "" {
			t.Errorf("twin %s: %v\n%s", id, err, diff)
		}
	}
}

func missing(t *testing.T, r hub.Registry) {
	create(t, r, hub.ID{Device: "d"})
	for id, want := range map[hub.ID]error{{Device: "D"}: hub.ErrDeviceNotFound, {Device: "d", Module: "m"}: hub.ErrModuleNotFound} {
		if _, err := r.Device(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("device %s: %v, want %v", id, err, want)
		}
		if _, err := r.Twin(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("twin %s: %v, want %v", id, err, want)
		}
	}
}

func conditions(t *testing.T, r hub.Registry) {
	d, other := hub.ID{Device: "d"}, hub.ID{Device: "other"}
	create(t, r, d)
	for _, c := range []struct {
		name   string
		change hub.Change
		ok     bool
	}{
		{"create what exists", hub.PutDevice{Device: Device(d, "2")}, false},
		{"stale etag", hub.PutDevice{Device: Device(d, "2"), If: "0"}, false},
		{"etag", hub.PutDevice{Device: Device(d, "2"), If: "1"}, true},
		{"the etag before", hub.PutDevice{Device: Device(d, "3"), If: "1"}, false},
		{"update what is missing", hub.PutDevice{Device: Device(other, "2"), If: "1"}, false},
		{"twin that exists", hub.PutTwin{ID: d, Twin: Twin(9)}, false},
		{"stale twin", hub.PutTwin{ID: d, Twin: Twin(9), If: 8}, false},
		{"twin", hub.PutTwin{ID: d, Twin: Twin(9), If: 1}, true},
		{"twin of nobody", hub.PutTwin{ID: other, Twin: Twin(9), If: 1}, false},
		{"delete, stale", hub.DeleteDevice{ID: d, If: "1"}, false},
		{"delete without etag", hub.DeleteDevice{ID: d}, false},
		{"delete what is missing", hub.DeleteDevice{ID: other, If: "2"}, false},
		{"delete what is missing without etag", hub.DeleteDevice{ID: other}, false},
		{"delete", hub.DeleteDevice{ID: d, If: "2"}, true},
		{"create again", hub.PutDevice{Device: Device(d, "4")}, true},
	} {
		err := r.Write(t.Context(), c.change)
		if c.ok && err != nil || !c.ok && !errors.Is(err, hub.ErrPrecondition) {
			t.Errorf("%s: %v, want success %v", c.name, err, c.ok)
		}
	}
}

func allOrNothing(t *testing.T, r hub.Registry) {
	d := hub.ID{Device: "d"}
	create(t, r, d)
	err := r.Write(t.Context(),
		hub.PutDevice{Device: Device(hub.ID{Device: "new"}, "1")},
		hub.PutEntry{Entry: hub.Entry{Queue: "d", Sequence: 1, Data: []byte("x")}},
		hub.PutTwin{ID: d, Twin: Twin(5), If: 4})
	if !errors.Is(err, hub.ErrPrecondition) {
		t.Fatalf("write: %v", err)
	}
	if got := ids(t, r, hub.ID{}); got != "d" {
		t.Errorf("devices %s: a refused write left something", got)
	}
	if got := entries(t, r, "d", 0); got != "" {
		t.Errorf("entries %s: a refused write left something", got)
	}
}

func ids(t *testing.T, r hub.Registry, after hub.ID) string {
	t.Helper()
	var got []string
	for d, err := range r.Devices(t.Context(), after) {
		if err != nil {
			t.Fatalf("devices: %v", err)
		}
		got = append(got, d.ID().String())
	}
	return strings.Join(got, " ")
}

func order(t *testing.T, r hub.Registry) {
	// "a!" stands between "a" with its modules and "b", whatever the separator.
	for _, id := range []hub.ID{{Device: "b"}, {Device: "a!"}, {Device: "a", Module: "m"}, {Device: "a"}, {Device: "B"}, {Device: "a", Module: "M"}} {
		create(t, r, id)
	}
	for after, want := range map[hub.ID]string{
		{}:                         "B a a/M a/m a! b",
		{Device: "a"}:              "a/M a/m a! b",
		{Device: "a", Module: "M"}: "a/m a! b",
		{Device: "aa"}:             "b",
		{Device: "b"}:              "",
	} {
		if got := ids(t, r, after); got != want {
			t.Errorf("behind %q: %s, want %s", after, got, want)
		}
	}
	for d, err := range r.Devices(t.Context(), hub.ID{}) {
		if _, err2 := r.Device(t.Context(), d.ID()); err != nil || err2 != nil {
			t.Fatalf("reading while listing: %v, %v", err, err2)
		}
		break // and leaving early is fine
	}
}

func activity(t *testing.T, r hub.Registry) {
	d := hub.ID{Device: "d"}
	create(t, r, d)
	a := hub.Activity{Last: time.UnixMilli(1_700_000_000_123).UTC(), ConnectionStateUpdated: time.UnixMilli(1_600_000_000_456).UTC()}
	write(t, r, hub.PutActivity{ID: d, Activity: a}, hub.PutActivity{ID: hub.ID{Device: "nobody"}, Activity: a})
	write(t, r, hub.PutDevice{Device: Device(d, "2"), If: "1"})
	got, err := r.Device(t.Context(), d)
	if err != nil || !got.LastActivityTime.Equal(a.Last) || !got.ConnectionStateUpdatedTime.Equal(a.ConnectionStateUpdated) {
		t.Errorf("got %+v, %v: activity must outlive an update", got, err)
	}
	if got := ids(t, r, hub.ID{}); got != "d" {
		t.Errorf("devices %s: activity made a device", got)
	}
	write(t, r, hub.DeleteDevice{ID: d, If: "2"})
	create(t, r, d)
	if got, err := r.Device(t.Context(), d); err != nil || !got.LastActivityTime.IsZero() {
		t.Errorf("got %+v, %v: activity outlived a deletion", got, err)
	}
}

func entries(t *testing.T, r hub.Registry, queue string, from int64) string {
	t.Helper()
	var got []string
	for e, err := range r.Entries(t.Context(), queue, from) {
		if err != nil {
			t.Fatalf("entries: %v", err)
		}
		got = append(got, fmt.Sprintf("%s:%d:%s", e.Queue, e.Sequence, e.Data))
	}
	return strings.Join(got, " ")
}

func queues(t *testing.T, r hub.Registry) {
	put := func(queue string, sequence int64, data string) hub.Change {
		return hub.PutEntry{Entry: hub.Entry{Queue: queue, Sequence: sequence, Data: []byte(data)}}
	}
	write(t, r, put("d", 300, "c"), put("d", 2, "b"), put("d", 1, "a"))
	write(t, r, put("d1", 7, "z"), put(hub.FeedbackQueue, 9, "f"), put("d", 2, "B"))
	for _, c := range []struct {
		queue string
		from  int64
		want  string
	}{
		{"d", 0, "d:1:a d:2:B d:300:c"},
		{"d", 2, "d:2:B d:300:c"},
		{"d", 301, ""},
		{"d1", 0, "d1:7:z"},
		{hub.FeedbackQueue, 0, "#feedback:9:f"},
		{hub.AllQueues, 0, "#feedback:9:f d:1:a d:2:B d:300:c d1:7:z"},
		{hub.AllQueues, 3, "#feedback:9:f d:300:c d1:7:z"},
	} {
		if got := entries(t, r, c.queue, c.from); got != c.want {
			t.Errorf("entries of %q from %d: %s, want %s", c.queue, c.from, got, c.want)
		}
	}
	write(t, r, hub.DropEntry{Queue: "d", Sequence: 2}, hub.DropEntry{Queue: "d", Sequence: 77})
	if got := entries(t, r, "d", 0); got != "d:1:a d:300:c" {
		t.Errorf("after a drop: %s", got)
	}
}

func deleteDevice(t *testing.T, r hub.Registry) {
	for _, id := range []hub.ID{{Device: "d"}, {Device: "d", Module: "m1"}, {Device: "d", Module: "m2"}, {Device: "d1"}, {Device: "d1", Module: "m1"}} {
		create(t, r, id)
		write(t, r, hub.PutEntry{Entry: hub.Entry{Queue: id.Device, Sequence: 1, Data: []byte("x")}})
	}
	write(t, r, hub.DeleteDevice{ID: hub.ID{Device: "d", Module: "m1"}, If: "1"})
	if got := ids(t, r, hub.ID{}); got != "d d/m2 d1 d1/m1" {
		t.Errorf("after the module: %s", got)
	}
	write(t, r, hub.DeleteDevice{ID: hub.ID{Device: "d"}, If: "1"})
	if got := ids(t, r, hub.ID{}); got != "d1 d1/m1" {
		t.Errorf("after the device: %s", got)
	}
	if got := entries(t, r, hub.AllQueues, 0); got != "d1:1:x" {
		t.Errorf("entries after the device: %s", got)
	}
	if _, err := r.Twin(t.Context(), hub.ID{Device: "d", Module: "m2"}); !errors.Is(err, hub.ErrModuleNotFound) {
		t.Errorf("twin of a deleted module: %v", err)
	}
}

func nothingShared(t *testing.T, r hub.Registry) {
	id := hub.ID{Device: "d"}
	d, twin, data := Device(id, "1"), Twin(1), []byte("data")
	write(t, r, hub.PutDevice{Device: d}, hub.PutTwin{ID: id, Twin: twin}, hub.PutEntry{Entry: hub.Entry{Queue: "d", Sequence: 1, Data: data}})
	spoil := func(d *hub.Device, twin *hub.Twin, data []byte) {
		d.Authentication.SymmetricKey.PrimaryKey = "spoilt"
		twin.Tags["site"] = "spoilt"
		twin.Desired.Metadata.Version = 99
		copy(data, "XXXX")
	}
	spoil(d, twin, data)
	for range 2 {
		d, err := r.Device(t.Context(), id)
		if diff := cmp.Diff(Device(id, "1"), d); err != nil || diff != "" {
			t.Fatalf("device: %v\n%s", err, diff)
		}
		twin, err := r.Twin(t.Context(), id)
		if diff := cmp.Diff(Twin(1), twin); err != nil || diff != "" {
			t.Fatalf("twin: %v\n%s", err, diff)
		}
		for e, err := range r.Entries(t.Context(), "d", 0) {
			if err != nil || string(e.Data) != "data" {
				t.Fatalf("entry %q, %v", e.Data, err)
			}
			spoil(d, twin, e.Data)
		}
	}
}

func race(t *testing.T, r hub.Registry) {
	id := hub.ID{Device: "d"}
	create(t, r, id)
	const writers, rounds = 8, 20
	var won, sequence atomic.Int64
	win := func() hub.Change { // leaves a trace of a write that won
		return hub.PutEntry{Entry: hub.Entry{Queue: "wins", Sequence: sequence.Add(1)}}
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range rounds {
				d, err := r.Device(t.Context(), id)
				if err != nil {
					t.Errorf("device: %v", err)
					return
				}
				switch err := r.Write(t.Context(), hub.PutDevice{Device: Device(id, fmt.Sprint(w, "-", n)), If: d.ETag}, win()); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, hub.ErrPrecondition):
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	wg.Wait()
	n := strings.Count(entries(t, r, "wins", 0), "wins:")
	if won.Load() == 0 || int64(n) != won.Load() {
		t.Errorf("%d writes said that they won, %d are there", won.Load(), n)
	}
}

func closed(t *testing.T, r hub.Registry) {
	create(t, r, hub.ID{Device: "d"})
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatalf("close: %v", err)
	}
	if _, err := r.Device(t.Context(), hub.ID{Device: "d"}); err == nil || errors.Is(err, hub.ErrDeviceNotFound) {
		t.Errorf("device after close: %v", err)
	}
	if err := r.Write(t.Context(), hub.PutDevice{Device: Device(hub.ID{Device: "e"}, "1")}); err == nil {
		t.Error("a write after close succeeded")
	}
	for _, err := range r.Devices(t.Context(), hub.ID{}) {
		if err == nil {
			t.Error("a list after close has devices")
		}
	}
}

// model compares random changes of few identities with a map.
func model(t *testing.T, open func(t *testing.T) hub.Registry) {
	rapid.Check(t, func(rt *rapid.T) {
		r := open(t)
		defer r.Close()
		etags, versions := map[hub.ID]string{}, map[hub.ID]int64{}
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				id, n1 := drawID(rt), n
				n++
				old := rapid.SampledFrom([]string{"", etags[id], "stale"}).Draw(rt, "if")
				err := r.Write(t.Context(), hub.PutDevice{Device: Device(id, fmt.Sprint(n1)), If: old})
				expect(rt, err, old == etags[id])
				if err == nil {
					etags[id] = fmt.Sprint(n1)
				}
			},
			"twin": func(rt *rapid.T) {
				id := drawID(rt)
				if etags[id] == "" {
					return // the hub writes no twin of nobody
				}
				old := rapid.Int64Range(0, 3).Draw(rt, "if")
				err := r.Write(t.Context(), hub.PutTwin{ID: id, Twin: Twin(old + 1), If: old})
				expect(rt, err, old == versions[id])
				if err == nil {
					versions[id] = old + 1
				}
			},
			"delete": func(rt *rapid.T) {
				id := drawID(rt)
				old := rapid.SampledFrom([]string{etags[id], "stale"}).Draw(rt, "if")
				err := r.Write(t.Context(), hub.DeleteDevice{ID: id, If: old})
				expect(rt, err, old != "" && old == etags[id])
				if err != nil {
					return
				}
				for other := range etags {
					if other == id || id.Module == "" && other.Device == id.Device {
						delete(etags, other)
						delete(versions, other)
					}
				}
			},
			"": func(rt *rapid.T) {
				got := map[hub.ID]string{}
				for d, err := range r.Devices(t.Context(), hub.ID{}) {
					if err != nil {
						rt.Fatal(err)
					}
					got[d.ID()] = d.ETag
				}
				if diff := cmp.Diff(etags, got); diff != "" {
					rt.Fatal(diff)
				}
			},
		})
	})
}

func drawID(rt *rapid.T) hub.ID {
	return hub.ID{
		Device: rapid.SampledFrom([]string{"d", "d!"}).Draw(rt, "device"),
		Module: rapid.SampledFrom([]string{"", "m"}).Draw(rt, "module"),
	}
}

func expect(rt *rapid.T, err error, ok bool) {
	if ok && err != nil || !ok && !errors.Is(err, hub.ErrPrecondition) {
		rt.Fatalf("got %v, want success: %v", err, ok)
	}
}
