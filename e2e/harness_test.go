package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/need"
)

// A node is the weir binary in a process of its own.
type node struct {
	bin, data string
	api, mqtt string // addresses
	args, env []string
	cmd       *exec.Cmd
	log       string // path
	exited    chan error
}

// binary builds weir once per test, or takes the one that WEIR_BIN names.
func binary(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("WEIR_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// fixed returns a node on the ports that the SDKs have built in, running in an
// empty folder; only the API's port is another, so that a `weir dev` may run beside.
func fixed(t *testing.T) *node {
	t.Helper()
	for _, port := range []string{"8883", "443", "8443"} {
		l, err := net.Listen("tcp", ":"+port)
		if err == nil {
			l.Close()
		}
		need.That(t, err == nil, fmt.Sprintf("port %s, which the SDKs have built in (%v)", port, err))
	}
	n := &node{bin: binary(t), data: t.TempDir(), api: freeAddr(t), mqtt: "localhost:8883"}
	n.args = []string{"--api", n.api}
	n.start(t)
	t.Cleanup(func() { n.stop(t) })
	return n
}

// elsewhere returns a node on free ports, not started.
func elsewhere(t *testing.T) *node {
	t.Helper()
	n := &node{bin: binary(t), data: t.TempDir(), api: freeAddr(t), mqtt: freeAddr(t)}
	n.args = []string{"--api", n.api, "--mqtt", n.mqtt, "--https", freeAddr(t)}
	return n
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs `weir serve` and waits until it is ready; it returns how long that took.
func (n *node) start(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	n.spawn(t)
	eventually(t, "the node is ready", func() error {
		select {
		case err := <-n.exited:
			n.exited <- err
			t.Fatalf("weir serve ended with %v:\n%s", err, n.logText())
		default:
		}
		_, err := n.get("/readyz")
		return err
	})
	return time.Since(begun)
}

// spawn runs `weir serve` and does not wait for it.
func (n *node) spawn(t *testing.T) {
	t.Helper()
	if n.log == "" {
		n.log = filepath.Join(t.TempDir(), "weir.log")
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(n.bin, append([]string{"serve", "--data", n.data}, n.args...)...)
	n.cmd.Env = append(os.Environ(), n.env...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan<- error) { exited <- cmd.Wait() }(n.cmd, n.exited)
}

// stop ends the node as a service manager does.
func (n *node) stop(t *testing.T) {
	t.Helper()
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-n.exited:
		if err != nil {
			t.Errorf("weir serve ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		_ = n.cmd.Process.Kill()
		t.Errorf("weir serve did not stop within 20 s of SIGTERM")
	}
	if t.Failed() {
		t.Logf("weir's log:\n%s", n.logText())
	}
}

// kill ends the node as kill -9 does, and waits until it is gone.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.exited
}

// logText returns the end of the node's log.
func (n *node) logText() []byte {
	text, _ := os.ReadFile(n.log)
	return text[max(0, len(text)-16<<10):]
}

// eventually polls until check is nil; 20 s is far beyond what anything here takes.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not yet: %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// get asks the node's API and fails on anything but 200.
func (n *node) get(path string) ([]byte, error) {
	body, _, err := n.request(path)
	return body, err
}

// request is get with the answer's header; the body is returned with an error too.
func (n *node) request(path string) ([]byte, http.Header, error) {
	r, err := http.Get("http://" + n.api + path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, r.Status, body)
	}
	return body, r.Header, err
}

// weir runs a command of the CLI against the node and returns its --json output.
func (n *node) weir(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(n.bin, append(args, "--data", n.data, "--json")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// device registers a device and returns its connection string.
func (n *node) device(t *testing.T, id string) string {
	t.Helper()
	var made struct{ ConnectionString string }
	if err := json.Unmarshal(n.weir(t, "device", "create", id), &made); err != nil {
		t.Fatal(err)
	}
	if made.ConnectionString == "" {
		t.Fatal("weir device create --json gave no connectionString")
	}
	return made.ConnectionString
}

// service returns the connection string of the policy iothubowner.
func (n *node) service(t *testing.T) string {
	t.Helper()
	var made struct{ ConnectionString string }
	if err := json.Unmarshal(n.weir(t, "connection-string"), &made); err != nil {
		t.Fatal(err)
	}
	return made.ConnectionString
}

type row struct {
	Data      json.RawMessage
	Timestamp int64
}

// telemetry returns a device's rows, newest first.
func (n *node) telemetry(id string) ([]row, error) {
	body, err := n.get("/devices/" + url.PathEscape(id) + "/telemetry?hours=1")
	if err != nil {
		return nil, err
	}
	var answer struct {
		DeviceID  string `json:"deviceId"`
		Telemetry []row
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if answer.DeviceID != id {
		return nil, fmt.Errorf("deviceId is %q", answer.DeviceID)
	}
	return answer.Telemetry, nil
}

// wantRows waits until the API has exactly want rows of a device.
func (n *node) wantRows(t *testing.T, id string, want int) []row {
	t.Helper()
	var rows []row
	eventually(t, fmt.Sprintf("%d rows of %s in the API", want, id), func() (err error) {
		rows, err = n.telemetry(id)
		if err == nil && len(rows) != want {
			err = fmt.Errorf("%d rows", len(rows))
		}
		return err
	})
	return rows
}

// A script is an SDK program in a process of its own that prints a line of JSON
// per event.
type script struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
	ended  bool
}

// run starts a script of node/ or python/ with what it needs in its environment.
func (n *node) run(t *testing.T, name string, env map[string]string) *script {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	s := &script{t: t, name: name}
	switch filepath.Dir(name) {
	case "node":
		_, err := os.Stat("node/node_modules/azure-iothub")
		need.That(t, err == nil, "the Node SDKs: make e2e-node")
		s.cmd = exec.CommandContext(ctx, "node", name)
	case "python":
		_, err := os.Stat(".venv/bin/python")
		need.That(t, err == nil, "the Python SDKs: make e2e-python")
		s.cmd = exec.CommandContext(ctx, ".venv/bin/python", "-W", "ignore", name)
	}
	ca := filepath.Join(n.data, "tls", "ca.pem")
	s.cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca, "SSL_CERT_FILE="+ca, "REQUESTS_CA_BUNDLE="+ca, "PYTHONDONTWRITEBYTECODE=1")
	for k, v := range env {
		s.cmd.Env = append(s.cmd.Env, k+"="+v)
	}
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(out)
	t.Cleanup(func() {
		cancel()
		if !s.ended {
			_ = s.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s said on standard error:\n%s", name, s.stderr.Bytes())
		}
	})
	return s
}

// event waits for the event of that name and decodes its line into v, if not nil.
func (s *script) event(name string, v any) {
	s.t.Helper()
	for s.lines.Scan() {
		var e struct{ Event string }
		if json.Unmarshal(s.lines.Bytes(), &e) != nil || e.Event != name {
			continue
		}
		if v != nil {
			if err := json.Unmarshal(s.lines.Bytes(), v); err != nil {
				s.t.Fatal(err)
			}
		}
		return
	}
	s.t.Fatalf("%s ended (%v) without %q:\n%s", s.name, s.cmd.Wait(), name, s.stderr.Bytes())
}

// finish waits for the script's end, which must be a success.
func (s *script) finish() {
	s.t.Helper()
	for s.lines.Scan() {
	}
	s.ended = true
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatalf("%s: %v\n%s", s.name, err, s.stderr.Bytes())
	}
}

// part returns a field of a connection string.
func part(connectionString, key string) string {
	for field := range strings.SplitSeq(connectionString, ";") {
		if k, v, _ := strings.Cut(field, "="); k == key {
			return v
		}
	}
	return ""
}

// with returns a connection string with one field replaced.
func with(connectionString, key, value string) string {
	return strings.Replace(connectionString, key+"="+part(connectionString, key), key+"="+value, 1)
}

// token makes a shared access signature as the SDKs do; not by internal/sas,
// which is what is tested.
func token(resource, key string, expiry time.Time) string {
	sr := url.QueryEscape(resource)
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, raw)
	fmt.Fprintf(mac, "%s\n%d", sr, expiry.Unix())
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d", sr, sig, expiry.Unix())
}

// live follows the API's live tail of one device and returns a function that
// waits for the next event.
func (n *node) live(t *testing.T, device string) func() json.RawMessage {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.api+"/live?device="+url.QueryEscape(device), nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 1<<20)
	return func() json.RawMessage {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return json.RawMessage(data)
			}
		}
		t.Fatal(errors.Join(errors.New("the live tail ended"), lines.Err()))
		return nil
	}
}
