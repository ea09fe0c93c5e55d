package device

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// testConnection is a device on a hub that a peer plays.
const testConnection = "HostName=hub.example;DeviceId=d1;SharedAccessKey=a2V5a2V5a2V5a2V5a2V5a2V5"

// A peer plays the hub's side of connections that Dial opens, one script after
// the other; the last script goes on for all later connections.
type peer struct {
	t       *testing.T
	scripts []func(*wire)
	wg      sync.WaitGroup

	mu    sync.Mutex
	dials int
}

func newPeer(t *testing.T, scripts ...func(*wire)) *peer {
	return &peer{t: t, scripts: scripts}
}

func (p *peer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	p.mu.Lock()
	script := p.scripts[min(p.dials, len(p.scripts)-1)]
	p.dials++
	p.mu.Unlock()
	if script == nil {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	p.wg.Go(func() {
		defer server.Close()
		script(&wire{t: p.t, conn: server, frames: newFrames(server)})
	})
	return client, nil
}

func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials
}

// options are those of a client of p.
func (p *peer) options() Options { return Options{Dial: p.dial, plain: true} }

// A wire is one connection as the hub sees it.
type wire struct {
	t      *testing.T
	conn   net.Conn
	frames frames
}

// next returns the next packet; ok is false when the client is gone.
func (w *wire) next() (h mqtt311.Header, body []byte, ok bool) {
	h, body, err := w.frames.next()
	return h, body, err == nil
}

func (w *wire) send(packet []byte) { _, _ = w.conn.Write(packet) } // a client that is gone is seen by next

// accept answers CONNECT with code and returns it.
func (w *wire) accept(code mqtt311.ConnectCode) mqtt311.Connect {
	h, body, ok := w.next()
	if !ok || h.Type != mqtt311.CONNECT {
		w.t.Errorf("first packet is %v, want CONNECT", h.Type)
		return mqtt311.Connect{}
	}
	p, err := mqtt311.ParseConnect(body)
	if err != nil {
		w.t.Errorf("CONNECT: %v", err)
	}
	p.ClientID, p.Username = strings.Clone(p.ClientID), strings.Clone(p.Username)
	p.Password = append([]byte(nil), p.Password...)
	w.send(mqtt311.AppendConnack(nil, mqtt311.Connack{Code: code}))
	return p
}

// A sent is a PUBLISH that the peer received.
type sent struct {
	topic, body string
	id          uint16
	dup         bool
}

func (w *wire) publish() (s sent, ok bool) {
	for {
		h, body, ok := w.next()
		if !ok {
			return s, false
		}
		if h.Type != mqtt311.PUBLISH {
			continue
		}
		p, err := mqtt311.ParsePublish(h.Flags, body)
		if err != nil {
			w.t.Errorf("PUBLISH: %v", err)
			return s, false
		}
		return sent{strings.Clone(p.Topic), string(p.Payload), p.ID, p.Dup}, true
	}
}

func (w *wire) ack(id uint16) { w.send(mqtt311.AppendPuback(nil, id)) }

// good plays a hub that acknowledges, grants and answers everything until the
// client leaves; see, where it is set, sees each PUBLISH.
func good(see func(sent)) func(*wire) {
	return func(w *wire) {
		w.accept(mqtt311.Accepted)
		w.serve(see)
	}
}

func (w *wire) serve(see func(sent)) {
	for {
		h, body, ok := w.next()
		if !ok {
			return
		}
		switch h.Type {
		case mqtt311.PUBLISH:
			p, err := mqtt311.ParsePublish(h.Flags, body)
			if err != nil {
				w.t.Errorf("PUBLISH: %v", err)
				return
			}
			s := sent{strings.Clone(p.Topic), string(p.Payload), p.ID, p.Dup}
			if see != nil {
				see(s)
			}
			if p.QoS > 0 {
				w.ack(s.id)
			}
		case mqtt311.SUBSCRIBE:
			w.grant(body, 0)
		case mqtt311.PINGREQ:
			w.send(mqtt311.AppendPingresp(nil))
		case mqtt311.DISCONNECT:
			return
		}
	}
}

func (w *wire) grant(body []byte, code byte) {
	p, err := mqtt311.ParseSubscribe(body)
	if err != nil {
		w.t.Errorf("SUBSCRIBE: %v", err)
		return
	}
	w.send(mqtt311.AppendSuback(nil, mqtt311.Suback{ID: p.ID, Codes: []byte{code}}))
}

// deliver sends a QoS 0 PUBLISH to the client.
func (w *wire) deliver(topic, body string) {
	w.send(mqtt311.AppendPublish(nil, &mqtt311.Publish{Topic: topic, Payload: []byte(body)}))
}

func connected(t *testing.T, p *peer, o Options) *Client {
	t.Helper()
	c, err := Connect(t.Context(), testConnection, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closed(t *testing.T, c *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func number(t *testing.T, text json.RawMessage, key string) float64 {
	t.Helper()
	var m map[string]float64
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m[key]
}
