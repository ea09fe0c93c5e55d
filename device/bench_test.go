//go:build unix

package device

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// A sink is a hub on a real socket that acknowledges at once and does nothing
// else, so that what a benchmark measures is the client.
func sink(b *testing.B) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { acknowledge(conn) })
		}
	})
	b.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func acknowledge(conn net.Conn) {
	defer conn.Close()
	frames := newFrames(conn)
	var out []byte
	for {
		h, body, err := frames.next()
		if err != nil {
			return
		}
		switch h.Type {
		case mqtt311.CONNECT:
			out = mqtt311.AppendConnack(out, mqtt311.Connack{})
		case mqtt311.PUBLISH:
			p, err := mqtt311.ParsePublish(h.Flags, body)
			if err != nil {
				return
			}
			out = mqtt311.AppendPuback(out, p.ID)
		case mqtt311.DISCONNECT:
			return
		}
		if !frames.pending() {
			if _, err := conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

const benchBody = `{"deviceId":"pump-1","timestamp":"2026-01-01T00:00:00.000Z","temperature":21.43,"humidity":45.1,"pressure":4.08,"vibration":1.52,"power":6.91}`

func benchClient(b *testing.B, address string, window int) *Client {
	c, err := Connect(b.Context(), "HostName="+address+";DeviceId=d1;SharedAccessKey=a2V5", Options{Window: window, plain: true})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func benchClose(b *testing.B, c *Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		b.Error(err)
	}
}

// cpu starts counting what client and sink use of the processors together;
// stop reports it. Wall time says little on a machine that does other things.
func cpu(b *testing.B) (stop func()) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkSendAsync keeps a window of 16 full on one connection.
func BenchmarkSendAsync(b *testing.B) {
	c := benchClient(b, sink(b), 16)
	m := Message{ContentType: "application/json", Encoding: "utf-8", Body: []byte(benchBody)}
	b.ReportAllocs()
	stop := cpu(b)
	for b.Loop() {
		c.SendAsync(b.Context(), m, func(err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	stop()
	benchClose(b, c)
}

// BenchmarkSendAsyncPaho is the same with Eclipse Paho.
func BenchmarkSendAsyncPaho(b *testing.B) {
	c := pahoClient(b, sink(b))
	window := make(chan mqtt.Token, 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		for t := range window {
			if t.Wait(); t.Error() != nil {
				b.Error(t.Error())
			}
		}
	})
	body := []byte(benchBody)
	b.ReportAllocs()
	stop := cpu(b)
	for b.Loop() {
		window <- c.Publish(pahoTopic, 1, false, body)
	}
	stop()
	close(window)
	wg.Wait()
	c.Disconnect(0)
}

const pahoTopic = "devices/d1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"

func pahoClient(b *testing.B, address string) mqtt.Client {
	mqtt.ERROR, mqtt.CRITICAL = discard{}, discard{}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID("d1").SetCleanSession(false).SetProtocolVersion(4))
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	return c
}

type discard struct{}

func (discard) Println(...any)        {}
func (discard) Printf(string, ...any) {}

// A fleet of 1,000 devices with one message in flight each, in turn: what weir
// sim does at a fixed rate.
const fleetSize = 1000

func BenchmarkFleet(b *testing.B) {
	address := sink(b)
	clients := make([]*Client, fleetSize)
	for i := range clients {
		clients[i] = benchClient(b, address, 16)
	}
	m := Message{ContentType: "application/json", Encoding: "utf-8", Body: []byte(benchBody)}
	i := 0
	b.ReportAllocs()
	stop := cpu(b)
	for b.Loop() {
		clients[i%fleetSize].SendAsync(b.Context(), m, func(error) {})
		i++
	}
	stop()
	for _, c := range clients {
		benchClose(b, c)
	}
}

func BenchmarkFleetPaho(b *testing.B) {
	address := sink(b)
	clients := make([]mqtt.Client, fleetSize)
	for i := range clients {
		clients[i] = pahoClient(b, address)
	}
	tokens := make([]mqtt.Token, fleetSize*16)
	body := []byte(benchBody)
	i := 0
	b.ReportAllocs()
	stop := cpu(b)
	for b.Loop() {
		if t := tokens[i%len(tokens)]; t != nil {
			t.Wait()
		}
		tokens[i%len(tokens)] = clients[i%fleetSize].Publish(pahoTopic, 1, false, body)
		i++
	}
	stop()
	for _, t := range tokens {
		if t != nil {
			t.Wait()
		}
	}
	for _, c := range clients {
		c.Disconnect(0)
	}
}

// BenchmarkEncode is a message on its way into the window, without a connection.
func BenchmarkEncode(b *testing.B) {
	c, err := New(testConnection, Options{Window: 1, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }, plain: true})
	if err != nil {
		b.Fatal(err)
	}
	m := Message{ContentType: "application/json", Encoding: "utf-8", Body: []byte(benchBody)}
	b.ReportAllocs()
	for b.Loop() {
		c.mu.Lock()
		if err := c.enter(&m, nil); err != nil {
			b.Fatal(err)
		}
		c.window.sent = c.window.tail
		c.window.ack(packetID(c.window.head))
		c.mu.Unlock()
	}
	benchClose(b, c)
}
