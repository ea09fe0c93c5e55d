package node

import (
	"context"
	"errors"

	"github.com/weir-iot/weir/hub"
)

// EnsureDevices makes sure that devices with these ids are registered and
// returns their connection strings, for commands that bring their own devices.
func (n *Node) EnsureDevices(ctx context.Context, ids ...string) ([]string, error) {
	all := make([]string, len(ids))
	for i, id := range ids {
		d, err := n.hub.PutDevice(ctx, &hub.Device{DeviceID: id, Status: hub.StatusEnabled}, "")
		if errors.Is(err, hub.ErrDeviceAlreadyExists) {
			d, err = n.hub.Device(ctx, hub.ID{Device: id})
		}
		if err != nil {
			return nil, wrap("registering "+id, err)
		}
		all[i] = d.ConnectionString(n.state.DeviceHost())
	}
	return all, nil
}
