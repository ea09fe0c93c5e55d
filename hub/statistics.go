package hub

import "context"

// Statistics counts devices, and connections. It reads the registry through.
func (h *Hub) Statistics(ctx context.Context) (Statistics, error) {
	s := Statistics{Connected: h.connected()}
	for d, err := range h.registry.Devices(ctx, ID{}) {
		if err != nil {
			return Statistics{}, err
		}
		switch {
		case d.ModuleID != "":
			continue
		case d.Status == StatusDisabled:
			s.Disabled++
		default:
			s.Enabled++
		}
		s.Total++
	}
	return s, nil
}

// Statistics is a count of the registry's devices and of live sessions.
type Statistics struct {
	Total, Enabled, Disabled, Connected int
}
