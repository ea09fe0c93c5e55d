package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/hub"
)

// An envelope is one of the three forms in which IoT Hub writes errors. The
// SDKs parse them: Node reads the code out of plain's Message, C# wants the
// number of coded, or of nested, to agree with the header iothub-errorcode.
type envelope uint8

const (
	plain  envelope = iota // {"Message":"ErrorCode:DeviceNotFound;text","ExceptionMessage":"Tracking ID:…"}
	coded                  // {"errorCode":409301,"trackingId":"…","message":"text","timestampUtc":"…"}
	nested                 // coded as a string in the Message of plain
)

type plainBody struct {
	Message          string
	ExceptionMessage string
}

type codedBody struct {
	ErrorCode    int    `json:"errorCode"`
	TrackingID   string `json:"trackingId"`
	Message      string `json:"message"`
	TimestampUTC string `json:"timestampUtc"`
}

// fail answers with an error. What is not the hub's own is logged under the
// tracking id and says nothing about the inside.
func (c *call) fail(route *route, err error) {
	e := c.known(err)
	form := plain
	if route != nil {
		form = route.form
	}
	now := c.door.now().UTC()
	tracking := fmt.Sprintf("%s-G:0-TimeStamp:%s", c.tracked, now.Format("01/02/2006 15:04:05"))
	var body any
	switch form {
	case coded:
		body = codedBody{e.Code, tracking, e.Message, now.Format(time.RFC3339Nano)}
	case nested:
		inner, _ := json.Marshal(codedBody{e.Code, tracking, e.Message, now.Format(time.RFC3339Nano)})
		body = plainBody{Message: string(inner)}
	default:
		// Node takes what stands between the first two semicolons.
		text := strings.ReplaceAll(e.Message, ";", ",")
		body = plainBody{"ErrorCode:" + e.Name + ";" + text, "Tracking ID:" + tracking}
	}
	b, _ := json.Marshal(body)
	c.w.Header().Set("iothub-errorcode", e.Name)
	if e.Status == http.StatusRequestEntityTooLarge {
		c.w.Header().Set("Connection", "close") // the rest of the body is not read
	}
	c.write(e.Status, jsonType, b)
}

// known is the hub's error for err.
func (c *call) known(err error) *hub.Error {
	var e *hub.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLarge):
		return hub.ErrTooLarge.With("the body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, eventlog.ErrTooLarge):
		return hub.ErrTooLarge
	case errors.Is(err, eventlog.ErrFull), errors.Is(err, eventlog.ErrFailed), errors.Is(err, eventlog.ErrClosed):
		return hub.ErrUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return hub.ErrUnavailable.With("the request took longer than %s", c.door.timeout)
	}
	c.door.logger.Error("request failed", "method", c.Method, "path", c.URL.Path, "request", c.tracked, "error", err)
	return hub.ErrServer.With("internal error: the log of the hub has the cause under the tracking id")
}
