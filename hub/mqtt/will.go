package mqtt

import (
	"bytes"
	"context"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// A will is sent as telemetry when the device leaves without DISCONNECT. It
// shares no memory with the CONNECT.
type will struct{ m telemetry.Message }

// willTimeout bounds the wait for room in the hub for a will.
const willTimeout = 5 * time.Second

// newWill checks the will of a CONNECT: telemetry of this identity, QoS 0 or 1.
func newWill(p *mqtt311.Connect, n names) (*will, error) {
	if !p.HasWill {
		return nil, nil
	}
	bag, ok := n.events(p.Will.Topic)
	if !ok || p.Will.QoS == 2 {
		return nil, errWill
	}
	w := &will{telemetry.Message{Body: bytes.Clone(p.Will.Payload)}}
	app := []telemetry.Property{{Key: "iothub-MessageType", Value: "Will"}}
	if p.Will.Retain {
		app = append(app, telemetry.Property{Key: "mqtt-retain", Value: "true"})
	}
	own := len(app)
	_, app, err := properties(&w.m, mqtt311.NewBag([]byte(p.Will.Topic[bag:])), nil, app)
	if err != nil {
		return nil, err
	}
	// The sender's properties first, then what the hub adds.
	w.m.Properties = append(app[own:len(app):len(app)], app[:own]...)
	return w, nil
}

// sendWill sends the will of a device that just left. Whom the hub itself sent
// away has no session to send it in.
func (c *conn) sendWill() {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	switch cause {
	case causeLost, causeKeepAlive, causeProtocol, causeSlow, causeStalled:
	default:
		return
	}
	if c.will == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), willTimeout)
	defer cancel()
	answered := make(chan error, 1)
	c.session.Send(ctx, []telemetry.Message{c.will.m}, func(err error) { answered <- err })
	if err := <-answered; err != nil {
		c.srv.opt.Logger.Warn("will is lost", "device", c.id.String(), "error", err)
	}
}
