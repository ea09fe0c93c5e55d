package node

import (
	"context"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
)

func TestSpeaks(t *testing.T) {
	const scope = "ms-azure-iot-edge://gateway-1"
	registered := map[string]*hub.Device{
		"gateway": {DeviceID: "gateway", DeviceScope: scope, Capabilities: &hub.Capabilities{IotEdge: true}},
		"leaf":    {DeviceID: "leaf", DeviceScope: scope},
		"nested":  {DeviceID: "nested", DeviceScope: "other", ParentScopes: []string{scope}},
		"pump":    {DeviceID: "pump"},
		"fan":     {DeviceID: "fan"},
	}
	now, asked := time.Unix(0, 0), 0
	s := &speaker{
		device: func(_ context.Context, id hub.ID) (*hub.Device, error) {
			asked++
			if d := registered[id.Device]; d != nil {
				return d, nil
			}
			return nil, hub.ErrDeviceNotFound
		},
		now:   func() time.Time { return now },
		known: map[pair]answer{},
	}
	for _, c := range []struct {
		sender, device string
		may            bool
	}{
		{"gateway", "unregistered", true},
		{"pump", "unregistered", true},
		{"gateway", "leaf", true},
		{"gateway", "nested", true},
		{"gateway", "pump", false},
		{"pump", "fan", false},
		{"pump", "leaf", false},
		{"leaf", "gateway", false}, // of one scope, but no gateway
	} {
		if got := s.speaks(c.sender, c.device); got != c.may {
			t.Errorf("%s speaks for %s = %t, want %t", c.sender, c.device, got, c.may)
		}
	}
	before := asked
	s.speaks("gateway", "pump")
	if asked != before {
		t.Error("an answer was not remembered")
	}
	registered["pump"].DeviceScope = scope
	now = now.Add(rememberFor)
	if !s.speaks("gateway", "pump") {
		t.Error("a change in the registry was not seen")
	}
}
