package mqtt311_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/weir-iot/weir/internal/mqtt311"
)

func parseBag(s []byte) (pairs []mqtt311.Pair, err error) {
	for bag := mqtt311.NewBag(bytes.Clone(s)); ; {
		p, ok, err := bag.Next()
		if err != nil || !ok {
			return pairs, err
		}
		pairs = append(pairs, p)
	}
}

func appendBag(pairs []mqtt311.Pair) (b []byte) {
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = mqtt311.AppendPair(b, p)
	}
	return b
}

func TestBag(t *testing.T) {
	type pairs = []mqtt311.Pair
	for _, tt := range []struct {
		bag  string
		want pairs
	}{
		{"", nil},
		{"/", nil},
		{"a=b", pairs{{"a", "b", false}}},
		{"a=b/", pairs{{"a", "b", false}}},
		{"a=b//", pairs{{"a", "b/", false}}},
		{"a", pairs{{"a", "", true}}},
		{"a=", pairs{{"a", "", false}}},
		{"a=b=c", pairs{{"a", "b=c", false}}},
		{"a&b=&c=1", pairs{{"a", "", true}, {"b", "", false}, {"c", "1", false}}},
		{"a=1&&b=2&", pairs{{"a", "1", false}, {"b", "2", false}}},
		{"%24.mid=id%201&%24.ct=application%2Fjson", pairs{{"$.mid", "id 1", false}, {"$.ct", "application/json", false}}},
		{"$.mid=x", pairs{{"$.mid", "x", false}}},
		{"a%20b=c%26d%3d", pairs{{"a b", "c&d=", false}}},
		{"a=1+1", pairs{{"a", "1+1", false}}},
		{"a=100%&b=%4&c=%zz&d=%4g%41", pairs{{"a", "100%", false}, {"b", "%4", false}, {"c", "%zz", false}, {"d", "%4gA", false}}},
		{"a=%C3%A4", pairs{{"a", "ä", false}}},
	} {
		got, err := parseBag([]byte(tt.bag))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, %v; want %v", tt.bag, got, err, tt.want)
		}
	}
}

func TestBagRefused(t *testing.T) {
	for _, bag := range []string{"=", "a=1&=2", "a=%00", "%00=a", "a=%ff", "a=%ED%A0%80"} {
		if got, err := parseBag([]byte(bag)); !errors.Is(err, mqtt311.ErrMalformed) {
			t.Errorf("%q: %v, %v", bag, got, err)
		}
	}
}

// IoT Hub's own spelling, seen on the wire.
func TestAppendPair(t *testing.T) {
	got := appendBag([]mqtt311.Pair{
		{Key: "$.to", Value: "/devices/d1/messages/devicebound"},
		{Key: "iothub-ack", Value: "full"}, {Key: "n", Null: true}, {Key: "e"}, {Key: "-._~", Value: "ä"},
	})
	want := "%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound&iothub-ack=full&n&e=&-._~=%C3%A4"
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzBag(f *testing.F) {
	for _, s := range []string{"", "a", "a=", "a=b&c", "%24.mid=id%201&%24.ct=application%2Fjson/", "%%%", "a=%C3%A4"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, bag []byte) {
		pairs, err := parseBag(bag)
		if err != nil {
			return
		}
		again, err := parseBag(appendBag(pairs))
		if err != nil || !slices.Equal(pairs, again) {
			t.Fatalf("%q: %v became %v: %v", bag, pairs, again, err)
		}
	})
}

func BenchmarkBag(b *testing.B) {
	const bag = "%24.mid=id%201&%24.ct=application%2Fjson&%24.ce=utf-8&a%20b=c%26d"
	buf := make([]byte, len(bag))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, bag)
		for bag := mqtt311.NewBag(buf); ; {
			if _, ok, err := bag.Next(); err != nil {
				b.Fatal(err)
			} else if !ok {
				break
			}
		}
	}
}
