package rest

import (
	"encoding/json"
	"time"

	"github.com/weir-iot/weir/hub"
)

// invoke is POST /twins/{id}[/modules/{mid}]/methods.
func (c *call) invoke() error {
	var in struct {
		MethodName      string          `json:"methodName"`
		Payload         json.RawMessage `json:"payload"`
		ResponseTimeout int             `json:"responseTimeoutInSeconds"`
		ConnectTimeout  int             `json:"connectTimeoutInSeconds"`
	}
	if err := c.decode(maxMethod, &in); err != nil {
		return err
	}
	answer, err := c.hub.Invoke(c.Context(), c.id, hub.MethodRequest{
		Name:            in.MethodName,
		Payload:         in.Payload,
		ConnectTimeout:  seconds(in.ConnectTimeout),
		ResponseTimeout: seconds(in.ResponseTimeout),
	})
	if err != nil {
		return err
	}
	return c.json(struct {
		Status  int             `json:"status"`
		Payload json.RawMessage `json:"payload"`
	}{answer.Status, answer.Payload})
}

// seconds is n seconds, or a time that is out of every range like n.
func seconds(n int) time.Duration {
	const most = 1 << 30 // more would overflow
	return time.Duration(min(max(n, -most), most)) * time.Second
}
