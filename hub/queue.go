package hub

import (
	"context"
	"time"

	"github.com/weir-iot/weir/telemetry"
)

// A CloudMessage is a cloud-to-device message.
type CloudMessage struct {
	MessageID, CorrelationID, UserID string
	To                               string // /devices/{id}/messages/devicebound
	ContentType, Encoding            string
	Ack                              string // "none", "positive", "negative", "full"
	Properties                       telemetry.Properties
	Body                             []byte
	Enqueued, Expires                time.Time
	Sequence                         int64 // set by the queue, as the two below
	LockToken                        string
	DeliveryCount                    int
}

// SendToDevice queues a cloud-to-device message durably. ErrQueueFull, ErrDeviceNotFound.
func (h *Hub) SendToDevice(ctx context.Context, id ID, m *CloudMessage) error {
	return ErrUnavailable
}

// PurgeQueue removes the waiting messages of a device and returns how many.
func (h *Hub) PurgeQueue(ctx context.Context, deviceID string) (int, error) {
	return 0, ErrUnavailable
}
