package device_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/device"
	"github.com/weir-iot/weir/eventlog"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	"github.com/weir-iot/weir/hub"
	hubmem "github.com/weir-iot/weir/hub/mem"
	hubmqtt "github.com/weir-iot/weir/hub/mqtt"
	"github.com/weir-iot/weir/internal/pki"
	"github.com/weir-iot/weir/telemetry"
)

// A realHub is Weir's hub in memory, behind its MQTT door with TLS and
// WebSocket.
type realHub struct {
	hub   *hub.Hub
	log   eventlog.Log
	roots *x509.CertPool
	mqtt  string // address
	https string
	wg    sync.WaitGroup
	stop  func()
}

func newRealHub(t *testing.T) *realHub {
	t.Helper()
	h, err := startHub(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	return h
}

// startHub keeps its certificates in dir.
func startHub(dir string) (*realHub, error) {
	authority, err := pki.Open(pki.Options{Dir: dir, Names: []string{"localhost"}})
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	h := &realHub{log: logmem.New(logmem.Options{}), roots: x509.NewCertPool()}
	h.roots.AppendCertsFromPEM(pem)
	h.hub, err = hub.New(hub.Options{Registry: hubmem.New(), Log: h.log, Policies: hub.NewPolicies()})
	if err != nil {
		return nil, err
	}
	server := hubmqtt.NewServer(h.hub, hubmqtt.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	web := http.Server{Handler: server.WebSocket(ctx)}
	h.stop = func() {
		cancel()
		web.Close()
		_ = server.Shutdown(ctx) // at once: ctx is cancelled
		h.wg.Wait()
		h.hub.Close()
		h.log.Close()
	}
	h.mqtt, err = h.serve(authority.TLS(), func(ln net.Listener) { _ = server.Serve(ctx, ln) })
	if err == nil {
		h.https, err = h.serve(authority.TLS("http/1.1"), func(ln net.Listener) { _ = web.Serve(ln) })
	}
	return h, err
}

func (h *realHub) serve(config *tls.Config, serve func(net.Listener)) (address string, err error) {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return "", err
	}
	h.wg.Go(func() { serve(ln) })
	return ln.Addr().String(), nil
}

// device registers d1 and returns its connection string.
func (h *realHub) device(t *testing.T, id string) string {
	t.Helper()
	d, err := h.hub.PutDevice(t.Context(), &hub.Device{DeviceID: id, Status: hub.StatusEnabled}, "")
	if err != nil {
		t.Fatal(err)
	}
	return d.ConnectionString("localhost")
}

func (h *realHub) connect(t *testing.T, connection string, o device.Options) *device.Client {
	t.Helper()
	o.RootCAs, o.Dial = h.roots, h.dial
	c, err := device.Connect(t.Context(), connection, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

// dial takes the usual ports for those of the hub.
func (h *realHub) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to := h.mqtt
	if address == "localhost:443" {
		to = h.https
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

// records reads n messages from the log.
func (h *realHub) records(t *testing.T, n int) []telemetry.Message {
	t.Helper()
	parts, err := h.log.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []telemetry.Message
	for batch, err := range h.log.Read(t.Context(), eventlog.AllFrom(parts, eventlog.Oldest()), eventlog.AllFrom(parts, eventlog.Latest())) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Messages {
			if batch.Messages[i].Source == telemetry.Telemetry {
				all = append(all, batch.Messages[i].Clone())
			}
		}
	}
	if len(all) != n {
		t.Fatalf("the log has %d messages, want %d", len(all), n)
	}
	return all
}

func TestAgainstWeir(t *testing.T) {
	for _, webSocket := range []bool{false, true} {
		t.Run(fmt.Sprintf("websocket=%v", webSocket), func(t *testing.T) {
			h := newRealHub(t)
			c := h.connect(t, h.device(t, "d1"), device.Options{WebSocket: webSocket, Window: 8})
			checkTelemetry(t, h, c)
			checkTwin(t, h, c)
			checkMethod(t, h, c)
			checkCloudMessage(t, h, c)
		})
	}
}

func checkTelemetry(t *testing.T, h *realHub, c *device.Client) {
	const n = 100
	batch := make([]device.Message, n)
	for i := range batch {
		batch[i] = device.Message{
			ID: fmt.Sprintf("id %d", i), ContentType: "application/json", Encoding: "utf-8", CorrelationID: "c/1",
			Properties: telemetry.Properties{{Key: "a&b", Value: "ü=?"}, {Key: "n", Null: true}},
			Body:       fmt.Appendf(nil, "%d", i),
		}
	}
	if err := c.SendBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i, m := range h.records(t, n) {
		correlation, _ := m.System.Get(telemetry.CorrelationID)
		property, _ := m.Properties.Get("a&b")
		if m.DeviceID != "d1" || m.MessageID != batch[i].ID || string(m.Body) != string(batch[i].Body) ||
			m.ContentType != "application/json" || m.Encoding != "utf-8" || correlation != "c/1" || property != "ü=?" ||
			len(m.Properties) != 2 || !m.Properties[1].Null {
			t.Fatalf("message %d is in the log as %+v", i, m)
		}
	}
}

func checkTwin(t *testing.T, h *realHub, c *device.Client) {
	id := hub.ID{Device: "d1"}
	changes := make(chan device.Desired, 10)
	c.OnDesired(func(_ context.Context, d device.Desired) { changes <- d })
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := <-changes; !d.Full || d.Version != 1 {
		t.Errorf("first %+v, want all of version 1", d)
	}
	if _, err := h.hub.PatchTwin(t.Context(), id, []byte(`{"properties":{"desired":{"speed":5}}}`), ""); err != nil {
		t.Fatal(err)
	}
	if d := <-changes; d.Full || d.Version != 2 || !json.Valid(d.Properties) {
		t.Errorf("then %+v %s, want the patch of version 2", d, d.Properties)
	}
	version, err := c.Report(t.Context(), map[string]any{"speed": 4})
	if err != nil || version != 2 {
		t.Errorf("Report: version %d, %v; want 2", version, err)
	}
	twin, err := c.Twin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var desired, reported struct{ Speed int }
	if json.Unmarshal(twin.Desired, &desired) != nil || json.Unmarshal(twin.Reported, &reported) != nil || desired.Speed != 5 || reported.Speed != 4 {
		t.Errorf("twin %s %s", twin.Desired, twin.Reported)
	}
}

func checkMethod(t *testing.T, h *realHub, c *device.Client) {
	c.OnMethod("double", func(_ context.Context, payload json.RawMessage) (int, any) {
		var n int
		if err := json.Unmarshal(payload, &n); err != nil {
			return 400, nil
		}
		return 200, map[string]int{"result": 2 * n}
	})
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := h.hub.Invoke(t.Context(), hub.ID{Device: "d1"}, hub.MethodRequest{Name: "double", Payload: json.RawMessage("21")})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 200 || string(r.Payload) != `{"result":42}` {
		t.Errorf("answer %d %s", r.Status, r.Payload)
	}
}

func checkCloudMessage(t *testing.T, h *realHub, c *device.Client) {
	got := make(chan device.CloudMessage, 1)
	c.OnMessage(func(_ context.Context, m device.CloudMessage) error { got <- m; return nil })
	err := h.hub.SendToDevice(t.Context(), hub.ID{Device: "d1"}, &hub.CloudMessage{
		MessageID: "m 1", Body: []byte("stop"), Properties: telemetry.Properties{{Key: "urgent", Value: "yes"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := <-got
	urgent, _ := m.Properties.Get("urgent")
	if m.ID != "m 1" || string(m.Body) != "stop" || urgent != "yes" {
		t.Errorf("received %+v", m)
	}
}

func TestAuthorityOfTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	h, err := startHub(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.stop)
	connection := h.device(t, "d1")
	t.Setenv("SSL_CERT_FILE", filepath.Join(dir, "ca.pem"))
	c, err := device.Connect(t.Context(), connection, device.Options{Dial: h.dial})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = device.Connect(t.Context(), connection, device.Options{Dial: h.dial, RootCAs: x509.NewCertPool()})
	if err == nil || !strings.Contains(err.Error(), "set SSL_CERT_FILE to its ca.pem") {
		t.Errorf("an authority that is not trusted: %v, want the remedy", err)
	}
}

// The client of a disabled device learns it, and goes on when it is enabled.
func TestWeirCutsConnections(t *testing.T) {
	h := newRealHub(t)
	connection := h.device(t, "d1")
	states := make(chan error, 10)
	c := h.connect(t, connection, device.Options{OnConnection: func(err error) { states <- err }, BackoffMin: time.Millisecond})
	if err := <-states; err != nil {
		t.Fatal(err)
	}
	d, err := h.hub.Device(t.Context(), hub.ID{Device: "d1"})
	if err != nil {
		t.Fatal(err)
	}
	d.Status = hub.StatusDisabled
	if _, err := h.hub.PutDevice(t.Context(), d, "*"); err != nil {
		t.Fatal(err)
	}
	if err := <-states; err == nil {
		t.Error("the connection of a disabled device stayed")
	}
	if err := c.Ready(t.Context()); err == nil {
		t.Error("a disabled device is ready")
	}
	d.Status = hub.StatusEnabled
	if _, err := h.hub.PutDevice(t.Context(), d, "*"); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), device.Message{ID: "after"}); err != nil {
		t.Fatal(err)
	}
	if m := h.records(t, 1)[0]; m.MessageID != "after" {
		t.Errorf("the log has %+v", m)
	}
}
