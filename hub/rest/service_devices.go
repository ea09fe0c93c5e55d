package rest

import (
	"errors"
	"net/http"

	"github.com/weir-iot/weir/hub"
)

// maxDevices bounds GET /devices: IoT Hub's own limit.
const maxDevices = 1000

// listDevices is GET /devices?top=n.
func (c *call) listDevices() error {
	top, err := number("top", c.URL.Query().Get("top"), maxDevices)
	if err != nil {
		return err
	}
	list, err := c.hub.Devices(c.Context(), min(top, maxDevices))
	if err != nil {
		return err
	}
	if list == nil {
		list = []*hub.Device{}
	}
	return c.json(list)
}

// getDevice is GET /devices/{id}.
func (c *call) getDevice() error {
	d, err := c.hub.Device(c.Context(), c.id)
	if err != nil {
		return err
	}
	return c.identity(d)
}

func (c *call) identity(d *hub.Device) error {
	put(c.w.Header(), "ETag", `"`+d.ETag+`"`)
	return c.json(d)
}

// putDevice is PUT /devices/{id}: without If-Match it creates, with it updates.
// Both answer 200.
func (c *call) putDevice() error {
	var in hub.Device
	if err := c.decode(maxJSON, &in); err != nil {
		return err
	}
	if in.DeviceID == "" {
		in.DeviceID = c.id.Device
	}
	if in.ModuleID == "" {
		in.ModuleID = c.id.Module
	}
	if in.ID() != c.id {
		return hub.ErrArgument.With("the body is about %q, the path about %q", in.ID(), c.id)
	}
	d, err := c.hub.PutDevice(c.Context(), &in, c.ifMatch())
	if err != nil {
		return err
	}
	return c.identity(d)
}

// deleteDevice is DELETE /devices/{id}; If-Match is needed.
func (c *call) deleteDevice() error {
	if err := c.hub.DeleteDevice(c.Context(), c.id, c.ifMatch()); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

// listModules is GET /devices/{id}/modules.
func (c *call) listModules() error {
	return c.ofDevice(func() error {
		list, err := c.hub.Modules(c.Context(), c.id.Device)
		if err != nil {
			return err
		}
		if list == nil {
			list = []*hub.Device{}
		}
		return c.json(list)
	})
}

// getModule, putModule and deleteModule are /devices/{id}/modules/{mid}.
func (c *call) getModule() error    { return c.ofDevice(c.getDevice) }
func (c *call) putModule() error    { return c.ofDevice(c.putDevice) }
func (c *call) deleteModule() error { return c.ofDevice(c.deleteDevice) }

// ofDevice does something to modules. On a device that does not exist IoT Hub
// answers 401, and so do we: services that provoke it look for that.
func (c *call) ofDevice(f func() error) error {
	_, err := c.hub.Device(c.Context(), hub.ID{Device: c.id.Device})
	if errors.Is(err, hub.ErrDeviceNotFound) {
		return hub.ErrUnauthorized.With("Unauthorized: device %q is not registered", c.id.Device)
	}
	if err != nil {
		return err
	}
	return f()
}

// deviceStatistics is GET /statistics/devices.
func (c *call) deviceStatistics() error {
	s, err := c.hub.Statistics(c.Context())
	if err != nil {
		return err
	}
	return c.json(struct {
		Total    int `json:"totalDeviceCount"`
		Enabled  int `json:"enabledDeviceCount"`
		Disabled int `json:"disabledDeviceCount"`
	}{s.Total, s.Enabled, s.Disabled})
}

// serviceStatistics is GET /statistics/service.
func (c *call) serviceStatistics() error {
	s, err := c.hub.Statistics(c.Context())
	if err != nil {
		return err
	}
	return c.json(struct {
		Connected int `json:"connectedDeviceCount"`
	}{s.Connected})
}
