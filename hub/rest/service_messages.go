package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

// sendToDevice is POST /devices/{id}/messages/devicebound, Weir's own: IoT Hub
// takes cloud-to-device messages by AMQP only. The body is the message's, the
// headers are those with which a device receives it: iothub-messageid,
// iothub-ack, iothub-expiry (RFC 3339), iothub-app-{name} …; properties whose
// names need their case go into iothub-properties as a URL-encoded bag. 204
// says that the message is durable in the device's queue.
func (c *call) sendToDevice() error {
	var m telemetry.Message
	if err := fromHeaders(&m, c.Header); err != nil {
		return err
	}
	var err error
	if m.Body, err = c.body(maxCloud); err != nil {
		return err
	}
	cloud := &hub.CloudMessage{
		MessageID:   m.MessageID,
		ContentType: m.ContentType,
		Encoding:    m.Encoding,
		To:          "/devices/" + url.PathEscape(c.id.Device) + "/messages/devicebound",
		Properties:  m.Properties,
		Body:        m.Body,
	}
	cloud.CorrelationID, _ = m.System.Get(telemetry.CorrelationID)
	cloud.UserID, _ = m.System.Get(telemetry.UserID)
	cloud.Ack, _ = m.System.Get(telemetry.Acknowledgment)
	if text, ok := m.System.Get(telemetry.Expiry); ok {
		if cloud.Expires, err = time.Parse(time.RFC3339, text); err != nil {
			return hub.ErrArgument.With("iothub-expiry %q is not a time as RFC 3339 writes it", text)
		}
	}
	bag, err := parseBag(c.Header.Get("iothub-properties"))
	if err != nil {
		return err
	}
	cloud.Properties = append(cloud.Properties, bag...)
	if err := c.hub.SendToDevice(c.Context(), c.id, cloud); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

// parseBag reads name=value&name=value, percent-encoded, in order.
func parseBag(s string) (telemetry.Properties, error) {
	var bag telemetry.Properties
	for part := range strings.SplitSeq(s, "&") {
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		name, err := url.PathUnescape(key)
		if err == nil {
			value, err = url.PathUnescape(value)
		}
		if err != nil || name == "" {
			return nil, hub.ErrArgument.With("iothub-properties: %q is not name=value, percent-encoded", part)
		}
		bag = append(bag, telemetry.Property{Key: name, Value: value, Null: !ok})
	}
	return bag, nil
}

// purge is DELETE /devices/{id}/commands.
func (c *call) purge() error {
	n, err := c.hub.PurgeQueue(c.Context(), c.id.Device)
	if err != nil {
		return err
	}
	return c.json(struct {
		Purged   int     `json:"totalMessagesPurged"`
		DeviceID string  `json:"deviceId"`
		ModuleID *string `json:"moduleId"`
	}{n, c.id.Device, nil})
}

// feedbackType is the Content-Type of a batch of feedback records.
const feedbackType = "application/vnd.microsoft.iothub.feedback.json"

// feedback is GET /messages/serviceBound/feedback: a batch of records, locked
// under its ETag, or 204.
func (c *call) feedback() error {
	batch, err := c.hub.Feedback(c.Context())
	if err != nil {
		return err
	}
	if batch == nil {
		return c.empty(http.StatusNoContent)
	}
	body, err := json.Marshal(batch.Records)
	if err != nil {
		return fmt.Errorf("rest: writing feedback: %w", err)
	}
	put(c.w.Header(), "ETag", `"`+batch.LockToken+`"`)
	put(c.w.Header(), "iothub-enqueuedtime", stamp(batch.Enqueued))
	c.write(http.StatusOK, feedbackType, body)
	return nil
}

// completeFeedback is DELETE /messages/serviceBound/feedback/{lock}.
func (c *call) completeFeedback() error { return c.settleFeedback(true) }

// abandonFeedback is POST /messages/serviceBound/feedback/{lock}/abandon.
func (c *call) abandonFeedback() error { return c.settleFeedback(false) }

func (c *call) settleFeedback(complete bool) error {
	if err := c.hub.SettleFeedback(c.Context(), c.lock, complete); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}
