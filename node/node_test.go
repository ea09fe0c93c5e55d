package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/config"
)

// small is a configuration on free ports of loopback.
func small(t *testing.T) *config.Config {
	t.Helper()
	c := config.Default()
	c.Data = filepath.Join(t.TempDir(), "data")
	c.MQTT.Listen, c.HTTPS.Listen, c.API.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.HTTPS.Standard = ""
	c.Log.Segment = 1 << 20
	return c
}

func open(t *testing.T, c *config.Config) *Node {
	t.Helper()
	n, err := Open(t.Context(), c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// running runs n until the end of the test, or until stop.
func running(t *testing.T, n *Node) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

func TestStateOfARunningNode(t *testing.T) {
	c := small(t)
	c.API.Token = "0123456789abcdef"
	c.MQTT.Plain = "127.0.0.1:0"
	if _, err := ReadState(c.Data); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before: %v", err)
	}
	n := open(t, c)
	stop := running(t, n)
	s, err := ReadState(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	if s.PID != os.Getpid() || s.APIToken != c.API.Token || s.MQTTPlain == "" || len(s.HTTPS) != 1 {
		t.Errorf("state is %+v", s)
	}
	for _, address := range []string{s.MQTT, s.MQTTPlain, s.HTTPS[0], strings.TrimPrefix(s.API, "http://")} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Errorf("dialling: %v", err)
			continue
		}
		conn.Close()
	}
	if info, err := os.Stat(filepath.Join(c.Data, stateFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("node.json: %v %v, want 0600: it holds a token", info.Mode(), err)
	}
	if _, err := os.Stat(s.CA); err != nil || !filepath.IsAbs(s.CA) {
		t.Errorf("CA %s: %v", s.CA, err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(c.Data); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after: %v", err)
	}
}

// TestStaleState: a node that was killed leaves its file, and it does not count.
func TestStaleState(t *testing.T) {
	dir := t.TempDir()
	if err := writeState(dir, &State{PID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a lock: %v", err)
	}
	l, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ReadState(dir); err != nil || s.PID != 1 {
		t.Errorf("with a lock: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); err == nil || !strings.Contains(err.Error(), "restart weir") {
		t.Errorf("damaged: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneNodePerFolder(t *testing.T) {
	c := small(t)
	n := open(t, c)
	again := *c
	_, err := Open(t.Context(), &again, "test", slog.New(slog.DiscardHandler))
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second node: %v, want %q", err, want)
	}
	if _, err := ReadState(c.Data); err != nil {
		t.Errorf("the refused node took the first one's file away: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, c).Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedStart: an Open that fails leaves nothing open behind.
func TestRefusedStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name   string
		change func(t *testing.T, c *config.Config)
		want   string
	}{
		{"MQTT port", func(_ *testing.T, c *config.Config) { c.MQTT.Listen = taken.Addr().String() }, "another program listens there"},
		{"API port", func(_ *testing.T, c *config.Config) { c.API.Listen = taken.Addr().String() }, "choose another address with api.listen or --api"},
		{"foreign address", func(_ *testing.T, c *config.Config) { c.HTTPS.Listen = "203.0.113.1:0" }, "this machine has no such address"},
		{"plain MQTT for all", func(_ *testing.T, c *config.Config) { c.MQTT.Plain = ":0" }, "not a loopback address"},
		{"policies", func(t *testing.T, c *config.Config) { damage(t, PolicyFile(c.Data)) }, "policies.json"},
		{"CA", func(t *testing.T, c *config.Config) {
			damage(t, CAFile(c.Data))
			damage(t, filepath.Join(c.Data, tlsDir, "ca-key.pem"))
		}, "ca-key.pem: there is no PEM block"},
		{"log engine", func(_ *testing.T, c *config.Config) { c.Log.URL = "kafka://k1/t" }, "no engine kafka"},
		{"log folder", func(t *testing.T, c *config.Config) { damage(t, filepath.Join(c.Data, "log")) }, "log"},
		{"registry folder", func(t *testing.T, c *config.Config) { damage(t, filepath.Join(c.Data, "registry")) }, "registry"},
		{"store folder", func(t *testing.T, c *config.Config) { damage(t, filepath.Join(c.Data, "store")) }, "store"},
		{"data folder", func(t *testing.T, c *config.Config) { damage(t, c.Data) }, "choose another with --data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := small(t)
			c.change(t, conf)
			_, err := Open(t.Context(), conf, "test", slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if locked(conf.Data) {
				t.Error("the data folder is still taken")
			}
		})
	}
}

// damage makes file one that cannot be what it should be.
func damage(t *testing.T, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStandardPort: where it cannot be had the node goes on, and says so.
func TestStandardPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := small(t)
	c.HTTPS.Standard = taken.Addr().String()
	var log strings.Builder
	n, err := Open(t.Context(), c, "test", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if s := n.State(); len(s.HTTPS) != 1 {
		t.Errorf("HTTPS at %v", s.HTTPS)
	}
	if !strings.Contains(log.String(), "address already in use") {
		t.Errorf("the log does not say why: %s", log.String())
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	c.HTTPS.Standard = "127.0.0.2:0"
	n = open(t, c)
	if s := n.State(); len(s.HTTPS) != 2 || !strings.HasPrefix(s.HTTPS[0], "127.0.0.2:") {
		t.Errorf("HTTPS at %v, want the standard port first", s.HTTPS)
	}
	if names := n.keys.Server().IPAddresses; !slices.ContainsFunc(names, net.IPv4(127, 0, 0, 2).Equal) {
		t.Errorf("the certificate lacks the address that is listened on: %v", names)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	c := small(t)
	n := open(t, c)
	h := n.health(t.Context())
	if !h.Starting || len(h.Problems) > 0 || h.Log.Durability != "sync" || h.Log.Partitions != 4 {
		t.Errorf("before Run: %+v", h)
	}
	running(t, n)
	for deadline := time.Now().Add(10 * time.Second); ; {
		r, err := http.Get(n.State().API + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Status, Version string }
		err = json.NewDecoder(r.Body).Decode(&got)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("healthz: %s %v", r.Status, err)
		}
		if got.Status == "ok" && got.Version == "test" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("healthz: %+v", got)
		}
	}
}

func TestCheck(t *testing.T) {
	c := small(t)
	for _, f := range Check(t.Context(), c) {
		if f.Verdict() != "ok" {
			t.Errorf("empty folder: %+v", f)
		}
	}
	if _, err := os.Stat(c.Data); err == nil {
		t.Error("Check made the data folder")
	}
	n := open(t, c)
	if fs := Check(t.Context(), c); fs[0].Verdict() != "note" || !strings.Contains(fs[len(fs)-1].Detail, n.State().MQTT) {
		t.Errorf("running node: %+v", fs)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, f := range Check(t.Context(), c) {
		if f.Verdict() != "ok" {
			t.Errorf("stopped node: %+v", f)
		}
	}
	if err := os.Chmod(PolicyFile(c.Data), 0o644); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(c.Data, tlsDir, "server-key.pem"))
	var wrong []string
	for _, f := range Check(t.Context(), c) {
		if f.Verdict() == "wrong" {
			wrong = append(wrong, f.Subject)
		}
	}
	if want := []string{"policies", "certificate"}; !slices.Equal(wrong, want) {
		t.Errorf("wrong: %v, want %v", wrong, want)
	}
}

func TestHosts(t *testing.T) {
	s := &State{HostName: "iot.example.com", MQTT: "127.0.0.1:8883", HTTPS: []string{"127.0.0.1:443", "127.0.0.1:8443"}}
	if s.DeviceHost() != "iot.example.com" || s.ServiceHost() != "iot.example.com" {
		t.Errorf("usual ports: %s %s", s.DeviceHost(), s.ServiceHost())
	}
	s.MQTT, s.HTTPS = "127.0.0.1:18883", s.HTTPS[1:]
	if s.DeviceHost() != "iot.example.com:18883" || s.ServiceHost() != "iot.example.com:8443" {
		t.Errorf("other ports: %s %s", s.DeviceHost(), s.ServiceHost())
	}
}

// TestAPIServerBoundsBodies: a client that announces a body and trickles it does
// not hold a connection of the API for ever, on loopback either.
func TestAPIServerBoundsBodies(t *testing.T) {
	n := open(t, small(t))
	t.Cleanup(func() { _ = n.Close() })
	s := n.apiServer(t.Context())
	if s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("the API's server waits without a bound: %+v", s)
	}
}

// TestCheckSaysWhatTheDataFolderIs: a file, or one that cannot be written.
func TestCheckSaysWhatTheDataFolderIs(t *testing.T) {
	c := small(t)
	if err := os.WriteFile(c.Data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(c.Data); !errors.Is(err, ErrNotRunning) {
		t.Errorf("state of a file: %v", err)
	}
	f := Check(t.Context(), c)[0]
	if want := c.Data + " is not a folder: choose another with --data"; f.Text() != want {
		t.Errorf("%q, want %q", f.Text(), want)
	}
}

// TestRemedies: what the engines' folders can be, and what an operator does then.
func TestRemedies(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  string
	}{
		{syscall.ENOSPC, "d is full: free space there, or choose another folder with --data or log"},
		{syscall.ENOTDIR, "d is a file where weir wants a folder: move it away"},
		{syscall.EACCES, "run weir as the user that owns d"},
		{syscall.EROFS, "run weir as the user that owns d"},
		{errors.New("other"), "opening: other"},
	} {
		err := remedy(fmt.Errorf("opening: %w", c.cause), "d", "log")
		if !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.cause) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	for _, dir := range []string{"log", "registry", "store"} {
		c := small(t)
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.Data, dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), c, "test", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s is a file: %v", dir, err)
		}
	}
}

// TestFailedHandshakesAreCounted: a stranger at the HTTPS port leaves a trace.
func TestFailedHandshakesAreCounted(t *testing.T) {
	n := open(t, small(t))
	running(t, n)
	c, err := net.Dial("tcp", n.State().HTTPS[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c) // until the server lets go, which is before it tells
	for deadline := time.Now().Add(10 * time.Second); ; {
		r, err := http.Get(n.State().API + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nweir_node_https_errors_total 1\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("not counted")
		}
	}
}
