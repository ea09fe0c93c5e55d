package hub

import "context"

// Statistics counts devices, and connections.
func (h *Hub) Statistics(ctx context.Context) (Statistics, error) {
	return Statistics{}, ErrUnavailable
}

// Statistics is a count of the registry and of live sessions.
type Statistics struct {
	Total, Enabled, Disabled, Connected int
}
