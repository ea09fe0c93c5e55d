package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// serveTLS serves r's server over TLS and returns the address and the clients' configuration.
func (r *rig) serveTLS(ctx context.Context, version uint16) (string, *tls.Config) {
	r.t.Helper()
	cert, pool := certificate(r.t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert})
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = r.srv.Serve(ctx, ln); close(done) }()
	r.t.Cleanup(func() { _ = ln.Close(); _ = r.srv.Shutdown(context.Background()); <-done })
	return ln.Addr().String(), &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version}
}

// The Eclipse client goes through a device's day, over every transport.
func TestPaho(t *testing.T) {
	for _, transport := range []string{"tcp", "tls 1.2", "tls 1.3", "websocket"} {
		t.Run(transport, func(t *testing.T) {
			r := newRig(t, mqtt.Options{})
			token := r.device(d1)
			opt := paho.NewClientOptions().SetClientID("d1").SetCleanSession(false).SetProtocolVersion(4).
				SetUsername(hostName + "/d1/?api-version=2021-04-12").SetPassword(token).
				SetAutoReconnect(false).SetOrderMatters(true).SetConnectTimeout(20 * time.Second)
			switch transport {
			case "tcp":
				opt.AddBroker("tcp://" + r.addr)
			case "websocket":
				web := httptest.NewServer(r.srv.WebSocket(t.Context()))
				defer web.Close()
				opt.AddBroker("ws" + strings.TrimPrefix(web.URL, "http") + mqtt.WebSocketPath)
			default:
				version := uint16(tls.VersionTLS12)
				if transport == "tls 1.3" {
					version = tls.VersionTLS13
				}
				addr, conf := r.serveTLS(t.Context(), version)
				opt.AddBroker("ssl://" + addr).SetTLSConfig(conf)
			}
			got := make(chan paho.Message, 10)
			opt.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- m })
			c := paho.NewClient(opt)
			wait := func(what string, token paho.Token) {
				t.Helper()
				if !token.WaitTimeout(20 * time.Second) {
					t.Fatal(what, "took too long")
				}
				if err := token.Error(); err != nil {
					t.Fatal(what, err)
				}
			}
			next := func(prefix string) paho.Message {
				t.Helper()
				select {
				case m := <-got:
					if !strings.HasPrefix(m.Topic(), prefix) {
						t.Fatalf("%s, want %s…", m.Topic(), prefix)
					}
					return m
				case <-time.After(20 * time.Second):
					t.Fatal("no", prefix)
					return nil
				}
			}
			wait("connect", c.Connect())
			wait("subscribe", c.SubscribeMultiple(map[string]byte{devicebound: 1, methods: 0, twinAnswers: 1, desired: 1}, nil))

			for i := range 20 {
				wait("publish", c.Publish(events+"n="+fmt.Sprint(i), 1, false, strings.Repeat("x", i*3000)))
			}
			for i, m := range r.log.wait(20) {
				if v, _ := m.Properties.Get("n"); v != fmt.Sprint(i) || len(m.Body) != i*3000 {
					t.Errorf("message %d: n=%s, %d bytes", i, v, len(m.Body))
				}
			}
			wait("twin", c.Publish("$iothub/twin/GET/?$rid=1", 0, false, " "))
			next("$iothub/twin/res/200/?$rid=1")
			if _, err := r.hub.PatchTwin(t.Context(), d1, []byte(`{"properties":{"desired":{"a":1}}}`), ""); err != nil {
				t.Fatal(err)
			}
			next("$iothub/twin/PATCH/properties/desired/?$version=")
			r.sendToDevice(d1, &hub.CloudMessage{Body: []byte("hello")})
			if m := next("devices/d1/messages/devicebound/"); string(m.Payload()) != "hello" {
				t.Error(string(m.Payload()))
			}
			answer := make(chan error, 1)
			go func() {
				_, err := r.hub.Invoke(t.Context(), d1, hub.MethodRequest{Name: "m"})
				answer <- err
			}()
			_, query, _ := strings.Cut(next("$iothub/methods/POST/m/").Topic(), "?")
			wait("response", c.Publish("$iothub/methods/res/200/?"+query, 0, false, "{}"))
			if err := <-answer; err != nil {
				t.Error("method:", err)
			}
			c.Disconnect(100)
		})
	}
}

// Another subprotocol than mqtt is refused.
func TestWebSocketSubprotocol(t *testing.T) {
	r := newRig(t, mqtt.Options{})
	web := httptest.NewServer(r.srv.WebSocket(t.Context()))
	defer web.Close()
	ws, _, err := websocket.Dial(t.Context(), web.URL, &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Error(err)
	}
}

// A peer that speaks plain MQTT to TLS, or nothing, ends at the deadline.
func TestTLSHandshakeFails(t *testing.T) {
	r := newRig(t, mqtt.Options{ConnectTimeout: 50 * time.Millisecond})
	addr, _ := r.serveTLS(t.Context(), tls.VersionTLS13)
	for _, frame := range [][]byte{mqtt311.AppendConnect(nil, connectPacket(d1, "x")), nil} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = nc.Write(frame)
		for err == nil {
			_, err = nc.Read(make([]byte, 100))
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Error("still open")
		}
		_ = nc.Close()
	}
	if n := r.metric("weir_mqtt_connects_total", "tls"); n != 2 {
		t.Error("failed handshakes counted:", n)
	}
}
