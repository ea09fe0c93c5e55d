package e2e

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStrangers lets all sorts of nonsense at the ports of the real binary:
// afterwards it serves as before, holds nothing of it, has counted it, and its
// log names no key.
func TestStrangers(t *testing.T) {
	n := elsewhere(t)
	n.args = append(n.args, "-v")
	n.start(t)
	defer n.stop(t)
	good := n.device(t, "good")
	before := n.metric(t, "go_goroutines")

	var ports struct{ HTTPS []string }
	state, err := os.ReadFile(filepath.Join(n.data, "node.json"))
	if err = errors.Join(err, json.Unmarshal(state, &ports)); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ name, to, bytes string }{
		{"HTTP at MQTT", n.mqtt, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
		{"256 MB announced", n.mqtt, "\x10\xff\xff\xff\x7f"},
		{"length of five bytes", n.mqtt, "\x10\xff\xff\xff\xff\x7f"},
		{"a PUBLISH first", n.mqtt, "\x30\x05\x00\x03a/bx"},
		{"another protocol", n.mqtt, "\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00"},
		{"MQTT at HTTPS", ports.HTTPS[0], "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"},
		{"a header without end", ports.HTTPS[0], "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10)},
		{"two lengths", ports.HTTPS[0], "POST /devices/good/messages/events?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"},
	} {
		if answer, err := say(one.to, one.bytes); err != nil {
			t.Errorf("%s: the connection stays open, after %q: %v", one.name, answer, err)
		}
	}
	wrong := with(good, "SharedAccessKey", "c29tZXRoaW5nIGVsc2UgdGhhbiB0aGUga2V5")
	for _, auth := range []string{"", "nonsense", "SharedAccessSignature sr=%zz&sig=%00&se=-1",
		token("localhost/devices/good", part(wrong, "SharedAccessKey"), time.Now().Add(time.Hour)),
		token("localhost/devices/good", part(good, "SharedAccessKey"), time.Now().Add(-time.Hour))} {
		if code := postEvent(t, ports.HTTPS[0], auth); code != http.StatusUnauthorized {
			t.Errorf("token %q: %d", auth, code)
		}
	}

	// Hundreds that begin a handshake and say no more.
	var silent []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", n.mqtt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "\x16\x03\x01\x02\x00\x01"); err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	if code := postEvent(t, ports.HTTPS[0], token("localhost/devices/good", part(good, "SharedAccessKey"), time.Now().Add(time.Hour))); code != http.StatusNoContent {
		t.Errorf("the device amid the noise: %d", code)
	}
	n.weir(t, "device", "send", "good", `{"n":2}`)
	n.wantRows(t, "good", 2)
	var wg sync.WaitGroup
	for _, c := range silent {
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a connection that says nothing stays open")
			}
			_ = c.Close()
		})
	}
	wg.Wait()

	eventually(t, "nothing of it is held", func() error {
		if now := n.metric(t, "go_goroutines"); now > before+20 {
			return fmt.Errorf("%v goroutines, %v before", now, before)
		}
		return nil
	})
	for _, name := range []string{"weir_mqtt_protocol_errors_total", "weir_mqtt_connects_total", "weir_rest_requests_total"} {
		if n.metric(t, name) == 0 {
			t.Errorf("%s counts none of it", name)
		}
	}
	policies, err := os.ReadFile(filepath.Join(n.data, "policies.json"))
	if err != nil {
		t.Fatal(err)
	}
	keys := regexp.MustCompile(`[A-Za-z0-9+/]{40,}=*`).FindAllString(string(policies), -1)
	if len(keys) < 10 {
		t.Fatalf("only %d keys of policies", len(keys))
	}
	text, err := os.ReadFile(n.log)
	if err != nil {
		t.Fatal(err)
	}
	log := string(text)
	for _, key := range append(keys, part(good, "SharedAccessKey"), part(wrong, "SharedAccessKey"), "sig=") {
		if strings.Contains(log, key) {
			t.Errorf("the log has the secret %.4s…", key)
		}
	}
	if strings.Contains(log, "panic") || !strings.Contains(log, "connection refused") {
		t.Errorf("the log has a panic or no refusal:\n%.8000s", log)
	}
}

// say sends bytes over TLS and waits for the end of the connection.
func say(address, bytes string) (answer []byte, err error) {
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // the test is not about the certificate
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	_, _ = io.WriteString(c, bytes) // it may be cut amid
	answer, err = io.ReadAll(c)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // cut is as good as closed
	}
	return answer, err
}

// postEvent sends a message as the device good and returns the status.
func postEvent(t *testing.T, address, authorization string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address+"/devices/good/messages/events?api-version=2021-04-12", strings.NewReader(`{"n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// metric is the sum of a metric over its labels.
func (n *node) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	text, err := n.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}
