package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
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
	"github.com/weir-iot/weir/hub/rest"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/pki"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

// A rig is a hub in memory, with its MQTT and REST doors.
type rig struct {
	log      eventlog.Log
	registry Registry
	client   device.Options
	tls      *tls.Config
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	authority, err := pki.Open(pki.Options{Dir: dir, Names: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	policies := hub.NewPolicies()
	r := &rig{log: logmem.New(logmem.Options{}), tls: authority.TLS()}
	h, err := hub.New(hub.Options{Registry: hubmem.New(), Log: r.log, Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	server := hubmqtt.NewServer(h, hubmqtt.Options{})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", authority.TLS())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(ctx, ln) })
	web := httptest.NewServer(rest.New(h, rest.Options{}))
	t.Cleanup(func() {
		web.Close()
		cancel()
		wg.Wait()
		h.Close()
		r.log.Close()
	})
	owner, err := policies.ConnectionString("iothubowner", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	service, err := sas.ParseConnectionString(owner)
	if err != nil {
		t.Fatal(err)
	}
	r.registry = Registry{Base: web.URL, Service: service, HTTP: web.Client(), Host: "localhost"}
	r.client = device.Options{RootCAs: roots, Window: 16, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
	}}
	return r
}

func (r *rig) records(t *testing.T) (all []telemetry.Message) {
	t.Helper()
	parts, err := r.log.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range r.log.Read(t.Context(), eventlog.AllFrom(parts, eventlog.Oldest()), eventlog.AllFrom(parts, eventlog.Latest())) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Messages {
			if batch.Messages[i].Source == telemetry.Telemetry {
				all = append(all, batch.Messages[i].Clone())
			}
		}
	}
	return all
}

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("sim-%04d", i+1)
	}
	return all
}

func TestLoad(t *testing.T) {
	for name, l := range map[string]Load{
		"at a rate":           {Rate: 2000, Size: 300},
		"as fast as it goes":  {},
		"more lanes than due": {Rate: 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var err error
			if l.Devices, err = r.registry.Register(t.Context(), ids(20)); err != nil {
				t.Fatal(err)
			}
			l.Client, l.Duration = r.client, 400*time.Millisecond
			report := l.Run(t.Context())
			if report.Err != nil || report.Errors != 0 || report.Lost != 0 || report.Sent != report.Acked || report.Sent == 0 {
				t.Fatalf("%+v", report)
			}
			if l.Rate > 0 && float64(report.Sent) > l.Rate*l.Duration.Seconds()+lanes {
				t.Errorf("%d messages, more than the rate asks for", report.Sent)
			}
			records := r.records(t)
			if int64(len(records)) != report.Acked {
				t.Fatalf("%d acknowledged, %d in the log", report.Acked, len(records))
			}
			for _, m := range records {
				var body struct{ DeviceID string }
				if err := json.Unmarshal(m.Body, &body); err != nil || body.DeviceID != m.DeviceID || m.MessageID == "" {
					t.Fatalf("%+v %s: %v", m, m.Body, err)
				}
				if l.Size > 0 && len(m.Body) != l.Size {
					t.Fatalf("a payload of %d bytes, want %d", len(m.Body), l.Size)
				}
			}
		})
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	r := newRig(t)
	devices, err := r.registry.Register(t.Context(), ids(3))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := Load{Devices: devices, Client: r.client, Progress: func(p Progress) {
		if p.Acked > 0 {
			cancel()
		}
	}}
	report := l.Run(ctx)
	if ctx.Err() == nil || report.Err != nil || report.Lost != 0 || report.Sent != report.Acked || report.Acked == 0 {
		t.Errorf("%+v", report)
	}
}

func TestLoadCountsWhatFails(t *testing.T) {
	r := newRig(t)
	devices, err := r.registry.Register(t.Context(), ids(2))
	if err != nil {
		t.Fatal(err)
	}
	stranger := strings.Replace(devices[0], "sim-0001", "stranger", 1)
	l := Load{Devices: append(devices, stranger), Client: r.client, Rate: 100, Duration: 50 * time.Millisecond, Size: device.MaxMessage + 1}
	report := l.Run(t.Context())
	if report.Acked != 0 || report.Lost != 0 || report.Errors != report.Sent+1 || !errors.Is(report.Err, device.ErrUnauthorized) {
		t.Errorf("%+v, want every message and the stranger refused", report)
	}
}

// A hub that takes messages and never acknowledges them loses them.
func TestLoadCountsWhatIsLost(t *testing.T) {
	r := newRig(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", r.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = conn.Write(mqtt311.AppendConnack(nil, mqtt311.Connack{}))
		_, _ = io.Copy(io.Discard, conn) // until the client leaves
	})
	o := r.client
	o.Window = 5
	o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
	}
	l := Load{
		Devices: []string{"HostName=localhost;DeviceId=d;SharedAccessKey=a2V5"}, Client: o,
		Duration: 50 * time.Millisecond, Drain: 50 * time.Millisecond,
	}
	report := l.Run(t.Context())
	if report.Sent != 5 || report.Lost != 5 || report.Acked != 0 {
		t.Errorf("%+v, want a window lost", report)
	}
}

func TestRegister(t *testing.T) {
	r := newRig(t)
	first, err := r.registry.Register(t.Context(), ids(150)) // two lists
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.registry.Register(t.Context(), ids(151)) // 150 are there
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 150 || len(again) != 151 || first[0] == again[0] {
		t.Errorf("%d and %d connection strings, the first the same: %v", len(first), len(again), first[0] == again[0])
	}
	for _, s := range []string{again[0], again[150]} {
		c, err := device.Connect(t.Context(), s, r.client)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.registry.Register(t.Context(), []string{"not an id"}); err == nil || !strings.Contains(err.Error(), "not an id") {
		t.Errorf("a bad id: %v", err)
	}
	r.registry.Service.SharedAccessKey = "d3Jvbmc="
	if _, err := r.registry.Register(t.Context(), ids(1)); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong key: %v", err)
	}
}
