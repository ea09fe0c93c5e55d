package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// twinGet answers $iothub/twin/GET/?$rid=… with the device's view of its twin.
func (c *conn) twinGet(rid string) {
	twin, err := c.session.Twin(c.ctx)
	if err != nil {
		c.twinError(rid, err)
		return
	}
	c.twinAnswer(200, "?$rid="+rid, twin)
}

// twinReport merges reported properties.
func (c *conn) twinReport(rid string, patch []byte) {
	version, err := c.session.Report(c.ctx, patch)
	if err != nil {
		c.twinError(rid, err)
		return
	}
	c.twinAnswer(204, "?$rid="+rid+"&$version="+strconv.FormatInt(version, 10), nil)
}

// twinError says it twice: Python looks at the status, Node at the body.
func (c *conn) twinError(rid string, err error) {
	he := hub.ErrServer
	if !errors.As(err, &he) {
		c.srv.opt.Logger.Error("twin request failed", "device", c.id.String(), "error", err)
	}
	body, err := json.Marshal(struct {
		ErrorCode    int    `json:"errorCode"`
		TrackingID   string `json:"trackingId"`
		Message      string `json:"message"`
		TimestampUTC string `json:"timestampUtc"`
	}{he.Code, "", he.Message, c.srv.opt.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		body = nil // four plain fields: cannot happen
	}
	c.twinAnswer(he.Status, "?$rid="+rid, body)
}

// twinAnswer answers whether the device subscribed to answers or not: with
// ensure_desired_properties the Python SDK asks for the twin before it
// subscribes, and without an answer never asks again.
func (c *conn) twinAnswer(status int, query string, body []byte) {
	p := mqtt311.Publish{Topic: topicTwinAnswer + strconv.Itoa(status) + "/" + query, Payload: body}
	c.reply(func(b []byte) []byte { return mqtt311.AppendPublish(b, &p) })
}

// Desired hands a patch of desired properties to the device.
func (c *conn) Desired(version int64, patch []byte) {
	p := mqtt311.Publish{Topic: topicDesired + "?$version=" + strconv.FormatInt(version, 10), Payload: patch}
	c.reply(func(b []byte) []byte { return mqtt311.AppendPublish(b, &p) })
}

// Invoke hands a direct method to the device.
func (c *conn) Invoke(call *hub.MethodCall) {
	p := mqtt311.Publish{Topic: topicMethod + call.Name + "/?$rid=" + call.RequestID, Payload: call.Payload}
	c.reply(func(b []byte) []byte { return mqtt311.AppendPublish(b, &p) })
}

// methodResponse takes $iothub/methods/res/{status}/?$rid=….
func (c *conn) methodResponse(rest []byte, payload []byte) error {
	level, query, ok := bytes.Cut(rest, []byte{'/'})
	if !ok {
		return errRequestID
	}
	status, err := strconv.Atoi(string(level))
	if err != nil {
		return errRequestID
	}
	rid, err := requestID(query)
	if err != nil {
		return err
	}
	c.session.Respond(strings.Clone(rid), status, bytes.Clone(payload))
	return nil
}
