//go:build !race

// The race detector makes pools forget at random: allocations are counted
// without it.

package hub_test

import (
	"testing"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

func TestSendAllocatesNothing(t *testing.T) {
	h := newHub(t, func(o *hub.Options) { o.Log = nullLog{} })
	s, _ := h.connect(h.device("d"), 0)
	msgs := make([]telemetry.Message, 1)
	body, done := make([]byte, 100), func(error) {}
	system := make(telemetry.Properties, 1, 1+hub.StampedProperties)
	if n := testing.AllocsPerRun(100, func() {
		msgs[0] = telemetry.Message{Body: body}
		s.Send(t.Context(), msgs, done)
		msgs[0] = telemetry.Message{Body: body, System: system}
		s.Send(t.Context(), msgs, done)
	}); n >= 1 {
		t.Errorf("%v allocations per message", n)
	}
}
