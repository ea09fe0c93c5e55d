package device

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// A stream is a connection on which a hub says what the fuzzer wants.
type stream struct {
	net.Conn
	*bytes.Reader
}

func (s stream) Read(p []byte) (int, error) { return s.Reader.Read(p) }
func (stream) Close() error                 { return nil }

// FuzzHub lets a hostile hub say anything after CONNACK: no panic, no hang, and
// no acknowledgement of what was never sent.
func FuzzHub(f *testing.F) {
	publish := func(topic, body string) []byte {
		return mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: topic, Payload: []byte(body), QoS: 1, ID: 9})
	}
	f.Add(mqtt311.AppendPuback(mqtt311.AppendPuback(nil, 1), 2))
	f.Add(mqtt311.AppendSuback(nil, mqtt311.Suback{ID: packetIDs + 1, Codes: []byte{0}}))
	f.Add(mqtt311.AppendSuback(nil, mqtt311.Suback{ID: packetIDs + 2, Codes: []byte{0x80}}))
	f.Add(publish("$iothub/twin/res/200/?$rid=1&$version=2", `{"desired":{"$version":1},"reported":{}}`))
	f.Add(publish("$iothub/twin/PATCH/properties/desired/?$version=5", `{"$version":5}`))
	f.Add(publish("$iothub/methods/POST/m/?$rid=1", `{}`))
	f.Add(publish("devices/d1/messages/devicebound/%24.mid=1&a=%zz&b", "x"))
	f.Add([]byte{0x30, 0xff, 0xff, 0x3f, 0, 1})
	f.Fuzz(func(t *testing.T, said []byte) {
		refuse := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
		c, err := New(testConnection, Options{Dial: refuse, plain: true, BackoffMin: time.Hour, BackoffMax: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		c.OnDesired(func(context.Context, Desired) {})
		c.OnMessage(func(context.Context, CloudMessage) error { return nil })
		c.OnMethod("m", func(context.Context, json.RawMessage) (int, any) { return 200, nil })
		acked := 0
		c.SendAsync(t.Context(), Message{}, func(err error) {
			if err == nil {
				acked++
			}
		})
		s := newSession(stream{Reader: bytes.NewReader(said)}, time.Time{})
		c.begin(s)
		c.mu.Lock()
		c.window.fill(nil, writeLimit) // the message left
		c.mu.Unlock()
		if c.read(s) == nil {
			t.Error("the connection ended without an error")
		}
		if want := bytes.Contains(said, mqtt311.AppendPuback(nil, 1)); acked > 1 || acked == 1 && !want {
			t.Errorf("%d acknowledged by %x", acked, said)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_ = c.Close(gone) // the message is left where the hub did not acknowledge it
	})
}
