package hub

import (
	"context"
	"encoding/json"
	"time"
)

// A MethodCall is a direct method on its way to a device.
type MethodCall struct {
	RequestID string
	Name      string
	Payload   []byte // JSON or empty
}

// A MethodRequest is what a service asks for.
type MethodRequest struct {
	Name            string
	Payload         json.RawMessage // may be nil
	ConnectTimeout  time.Duration   // wait this long for the device to connect; 0: it must be connected
	ResponseTimeout time.Duration   // 0: 30 s
}

// A MethodResponse is what the device answered.
type MethodResponse struct {
	Status  int
	Payload json.RawMessage // may be nil
}

// Invoke calls a direct method. ErrDeviceNotOnline, ErrGatewayTimeout, ErrArgument.
func (h *Hub) Invoke(ctx context.Context, id ID, r MethodRequest) (*MethodResponse, error) {
	return nil, ErrUnavailable
}
