package e2e

import (
	"os/exec"
	"testing"

	"github.com/weir-iot/weir/internal/need"
)

// TestPage looks at the live page as a person does.
func TestPage(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	need.That(t, err == nil, "chromium (Debian: apt-get install chromium)")
	n := elsewhere(t)
	n.start(t)
	t.Cleanup(func() { n.stop(t) })
	s := n.run(t, "node/page.mjs", map[string]string{"CHROMIUM": browser, "URL": "http://" + n.api + "/"})
	s.event("empty", nil)
	n.device(t, "page-device")
	n.weir(t, "device", "send", "page-device", `{"temperature":21.5}`)
	s.event("shown", nil)
	n.weir(t, "device", "send", "page-device", `{"temperature":22.5}`)
	s.finish()
}
