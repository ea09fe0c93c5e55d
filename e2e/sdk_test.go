package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/need"
)

// TestSDKs runs the rows of the conformance matrix that unmodified SDKs can
// prove, against one node.
func TestSDKs(t *testing.T) {
	n := fixed(t)
	t.Run("article/DirectConnectedDevice", n.articleDevice)
	t.Run("article/EdgeGateway", n.articleGateway)
	t.Run("article/status", n.articleStatus)
	for _, lang := range []string{"node/connect.mjs", "python/connect.py"} {
		t.Run("rows 1,2,14/"+lang, func(t *testing.T) { n.connect(t, lang) })
	}
	for _, transport := range []string{"tcp", "ws"} {
		t.Run("rows 3,10/node/send.mjs/"+transport, func(t *testing.T) { n.send(t, transport) })
	}
	t.Run("row 4/python/oversize.py", n.oversize)
	t.Run("row 5/node/replaced.mjs", func(t *testing.T) { n.simple(t, "node/replaced.mjs", "replaced-1") })
	t.Run("row 6/node/twin.mjs", func(t *testing.T) { n.simple(t, "node/twin.mjs", "twin-node") })
	t.Run("rows 6,7,8/python/twin.py", func(t *testing.T) { n.simple(t, "python/twin.py", "twin-python") })
	t.Run("row 8/node/method.mjs", func(t *testing.T) { n.simple(t, "node/method.mjs", "method-node") })
	for _, lang := range []string{"node/c2d.mjs", "python/c2d.py"} {
		t.Run("row 9/"+lang, func(t *testing.T) { n.cloudToDevice(t, lang) })
	}
	t.Run("row 17/node/http.mjs", n.http)
	t.Run("rows 18,20/node/registry.mjs", func(t *testing.T) { n.simple(t, "node/registry.mjs", "") })
	t.Run("rows 18,19,20/python/registry.py", func(t *testing.T) { n.simple(t, "python/registry.py", "") })
	t.Run("row 19/node/query.mjs", func(t *testing.T) { n.simple(t, "node/query.mjs", "") })
	t.Run("row 25/node/renewal.mjs", func(t *testing.T) { n.renewal(t, "node/renewal.mjs", "renewal-node") })
	t.Run("row 25/python/renewal.py", func(t *testing.T) { n.renewal(t, "python/renewal.py", "renewal-python") })
}

func (n *node) simple(t *testing.T, name, device string) {
	env := map[string]string{"SERVICE": n.service(t), "DEVICE": device}
	if device != "" {
		env["CS"] = n.device(t, device)
	}
	n.run(t, name, env).finish()
}

func (n *node) articleDevice(t *testing.T) {
	sameAsArticle(t, "python/article_device.py")
	cs := n.device(t, "article-device")
	n.run(t, "python/article_device.py", map[string]string{"CS": cs})
	rows := n.wantRows(t, "article-device", 1)
	var data struct {
		Temperature float64
		Timestamp   string
	}
	if err := json.Unmarshal(rows[0].Data, &data); err != nil || data.Temperature != 21.5 || data.Timestamp == "" {
		t.Fatalf("data is %s (%v)", rows[0].Data, err)
	}
	if age := time.Since(time.Unix(rows[0].Timestamp, 0)); age < -time.Second || age > time.Minute {
		t.Fatalf("timestamp %d is %v ago", rows[0].Timestamp, age)
	}
}

func (n *node) articleGateway(t *testing.T) {
	sameAsArticle(t, "python/article_gateway.py")
	n.run(t, "python/article_gateway.py", map[string]string{"CS": n.device(t, "article-gateway")}).finish()
	for _, leaf := range []string{"leaf-1", "leaf-2"} {
		rows := n.wantRows(t, leaf, 1)
		if !strings.Contains(string(rows[0].Data), `"temperature": 19.5`) {
			t.Fatalf("data is %s", rows[0].Data)
		}
	}
}

func (n *node) articleStatus(t *testing.T) {
	sameAsArticle(t, "python/article_status.py")
	cs := n.device(t, "article-status")
	service := n.service(t)
	n.run(t, "python/twin.py", map[string]string{"CS": cs, "DEVICE": "article-status", "SERVICE": service}).finish()

	const want = `{"deviceId":"article-status","firmwareVersion":"1.2.3","lastSeen":"2026-01-02T03:04:05Z","status":"running"}`
	s := n.run(t, "python/article_status.py", map[string]string{"DEVICE": "article-status", "SERVICE": with(service, "HostName", "localhost:8443")})
	var got struct {
		Code int
		Body map[string]any
	}
	s.event("status", &got)
	if text, _ := json.Marshal(got.Body); got.Code != 200 || string(text) != want {
		t.Fatalf("the article's endpoint gave %d %s", got.Code, text)
	}
	body, err := n.get("/devices/article-status/status")
	if err != nil {
		t.Fatal(err)
	}
	var own map[string]any
	if err := json.Unmarshal(body, &own); err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(own); string(text) != want {
		t.Fatalf("ours gave %s", body)
	}
}

func (n *node) connect(t *testing.T, name string) {
	id := strings.NewReplacer("/", "-", ".", "-").Replace(name)
	cs := n.device(t, id)
	cloud := n.device(t, id+"-cloud")
	disabled := n.device(t, id+"-disabled")
	n.weir(t, "device", "update", id+"-disabled", "--status", "disabled")
	n.run(t, name, map[string]string{
		"CS":           cs,
		"CS_WRONG_KEY": with(cs, "SharedAccessKey", part(disabled, "SharedAccessKey")),
		"CS_UNKNOWN":   with(cs, "DeviceId", "nobody"),
		"CS_DISABLED":  disabled,
		"CS_CLOUD":     with(cloud, "HostName", "contoso.azure-devices.net"),
		"SAS_EXPIRED":  token("localhost/devices/"+id, part(cs, "SharedAccessKey"), time.Now().Add(-time.Hour)),
	}).finish()
	n.wantAtLeast(t, id, 1)
	n.wantAtLeast(t, id+"-cloud", 1)
}

func (n *node) wantAtLeast(t *testing.T, id string, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d rows of %s", want, id), func() error {
		rows, err := n.telemetry(id)
		if err == nil && len(rows) < want {
			err = fmt.Errorf("%d rows", len(rows))
		}
		return err
	})
}

func (n *node) send(t *testing.T, transport string) {
	id := "send-" + transport
	cs := n.device(t, id)
	next := n.live(t, id)
	s := n.run(t, "node/send.mjs", map[string]string{"CS": cs, "TRANSPORT": transport})
	s.event("acknowledged", nil)
	var m struct {
		DeviceID, MessageID, ContentType string
		Properties                       map[string]string
		System                           map[string]string
	}
	event := next()
	if err := json.Unmarshal(event, &m); err != nil {
		t.Fatal(err)
	}
	if m.DeviceID != id || m.MessageID != "id 1/ä" || m.ContentType != "application/json" ||
		m.Properties["a b"] != "c&d=e" || m.Properties["plus"] != "1+1" || m.Properties["ünï"] != "√" ||
		m.System["correlation-id"] != "c&1" {
		t.Fatalf("the live tail gave %s", event)
	}
	s.finish()
	rows := n.wantRows(t, id, 201)
	for i, row := range rows[:200] { // newest first: order is kept
		if want := fmt.Sprintf(`{"n":%d}`, 199-i); string(row.Data) != want {
			t.Fatalf("row %d is %s, want %s", i, row.Data, want)
		}
	}
}

func (n *node) oversize(t *testing.T) {
	cs := n.device(t, "oversize")
	n.run(t, "python/oversize.py", map[string]string{
		"DEVICE":   "oversize",
		"USERNAME": "localhost/oversize/?api-version=2021-04-12",
		"PASSWORD": token("localhost/devices/oversize", part(cs, "SharedAccessKey"), time.Now().Add(time.Hour)),
	}).finish()
	if rows, err := n.telemetry("oversize"); err == nil {
		t.Fatalf("%d rows of a message that was refused", len(rows))
	}
}

func (n *node) cloudToDevice(t *testing.T, name string) {
	id := "c2d-" + strings.Split(name, "/")[0]
	cs := n.device(t, id)
	const count = 20
	for i := range count {
		args := []string{"device", "message", id, fmt.Sprintf(`{"n":%d}`, i), "--ack", "full"}
		if i == 0 {
			args = append(args, "--message-id", "m 0", "--property", "a b=c&d", "--property", "empty=")
		}
		n.weir(t, args...)
	}
	s := n.run(t, name, map[string]string{"CS": cs, "COUNT": fmt.Sprint(count)})
	var got struct {
		MessageID  string
		Properties map[string]string
	}
	s.event("properties", &got)
	if got.MessageID != "m 0" || got.Properties["a b"] != "c&d" || got.Properties["empty"] != "" {
		t.Fatalf("the device got %+v", got)
	}
	s.finish()
}

func (n *node) http(t *testing.T) {
	cs := n.device(t, "http-1")
	n.weir(t, "device", "message", "http-1", `{"n":0}`)
	n.run(t, "node/http.mjs", map[string]string{"CS": cs}).finish()
	n.wantRows(t, "http-1", 3)
}

func (n *node) renewal(t *testing.T, name, id string) {
	cs := n.device(t, id)
	s := n.run(t, name, map[string]string{"CS": cs})
	var sent struct{ Total int }
	s.event("sent", &sent)
	s.finish()
	var rows []row
	eventually(t, "every acknowledged message", func() (err error) {
		rows, err = n.telemetry(id)
		if err == nil && len(rows) < sent.Total {
			err = fmt.Errorf("%d rows of %d", len(rows), sent.Total)
		}
		return err
	})
	// A resend after a lost acknowledgement may double a message; none may be missing.
	seen := map[string]bool{}
	for _, row := range rows {
		seen[string(row.Data)] = true
	}
	for i := range sent.Total {
		if !seen[fmt.Sprintf(`{"n":%d}`, i)] {
			t.Errorf("message %d was acknowledged and is not there", i)
		}
	}
}

// sameAsArticle compares what stands between the markers of a script with the
// article, which has lost its indentation in print.
func sameAsArticle(t *testing.T, name string) {
	t.Helper()
	article, err := os.ReadFile("../../shared/seed/article.txt")
	if errors.Is(err, os.ErrNotExist) {
		t.Log("the article is not beside the project: its text is not compared")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	need.That(t, err == nil, name)
	defer f.Close()
	var block strings.Builder
	inside, begun := false, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "# article: begin":
			inside, begun = true, true
		case line == "# article: end":
			inside = false
		case inside:
			block.WriteString(line + "\n")
		}
	}
	if !begun || !strings.Contains(string(article), block.String()) {
		t.Fatalf("%s is not the article's text:\n%s", name, block.String())
	}
}
