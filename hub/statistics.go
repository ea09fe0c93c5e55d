package hub

import (
	"context"
	"strconv"
	"sync"
)

// Statistics counts devices, and connections, without asking the registry.
func (h *Hub) Statistics(context.Context) (Statistics, error) {
	h.counts.mu.Lock()
	s := Statistics{Enabled: h.counts.enabled, Disabled: h.counts.disabled}
	h.counts.mu.Unlock()
	s.Total, s.Connected = s.Enabled+s.Disabled, h.connected()
	return s, nil
}

// Statistics is a count of the registry's devices and of live sessions.
type Statistics struct {
	Total, Enabled, Disabled, Connected int
}

// deviceCounts are of the registry's devices, by status. Modules do not count.
type deviceCounts struct {
	mu                sync.Mutex
	enabled, disabled int
}

// replace counts that a device's row became another; nil is none.
func (c *deviceCounts) replace(before, after *Device) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(before, -1)
	c.add(after, 1)
}

func (c *deviceCounts) add(d *Device, n int) {
	switch {
	case d == nil || d.ModuleID != "":
	case d.Status == StatusDisabled:
		c.disabled += n
	default:
		c.enabled += n
	}
}

// countDevices reads the registry through, once. It also finds the newest
// generation, so that a clock that was set back repeats none.
func (h *Hub) countDevices(ctx context.Context) error {
	for d, err := range h.registry.Devices(ctx, ID{}) {
		if err != nil {
			return err
		}
		h.counts.replace(nil, d)
		if n, err := strconv.ParseInt(d.GenerationID, 10, 64); err == nil && n > h.generation.Load() {
			h.generation.Store(n)
		}
	}
	return nil
}
