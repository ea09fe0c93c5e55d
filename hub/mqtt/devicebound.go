package mqtt

import (
	"errors"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// CloudToDevice hands a message to the device. With QoS 1 the device's PUBACK
// completes it; what is not acknowledged returns to the queue when the session
// closes. With QoS 0 it is complete when it is on its way. What no MQTT packet
// holds is rejected.
func (c *conn) CloudToDevice(m *hub.CloudMessage) {
	topic := c.boundTopic(m)
	if len(topic) > mqtt311.MaxString {
		c.srv.metrics.undeliverable.Inc()
		c.srv.opt.Logger.Warn("cloud-to-device message is rejected: its properties are longer than an MQTT topic", "device", c.id.String(), "message", m.MessageID)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.enqueue(task{do: func() error { return ignoreLost(c.session.Reject(c.ctx, m.LockToken)) }})
		return
	}
	p := mqtt311.Publish{Topic: string(topic), Payload: m.Body}
	c.mu.Lock()
	if c.subs.qos > 0 {
		p.QoS, p.ID = 1, c.lockID(m.LockToken)
	} else {
		c.unacked = append(c.unacked, m.LockToken)
	}
	over := c.queue(func(b []byte) []byte { return mqtt311.AppendPublish(b, &p) })
	c.mu.Unlock()
	if over {
		c.kill(causeSlow)
	}
}

// lockID gives a lock token a packet identifier that is free, under c.mu. The
// hub hands out far fewer messages than there are identifiers.
func (c *conn) lockID(token string) uint16 {
	if c.locks == nil {
		c.locks = map[uint16]string{}
	}
	for {
		if c.nextID++; c.nextID == 0 {
			c.nextID = 1
		}
		if _, used := c.locks[c.nextID]; !used {
			c.locks[c.nextID] = token
			return c.nextID
		}
	}
}

func (c *conn) forgetLocks() {
	c.mu.Lock()
	clear(c.locks)
	c.mu.Unlock()
}

// puback completes the message of that packet identifier. One that is not
// known belonged to an older subscription.
func (c *conn) puback(body []byte) error {
	id, err := mqtt311.ParsePuback(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	token, ok := c.locks[id]
	delete(c.locks, id)
	c.mu.Unlock()
	if !ok {
		return nil
	}
	return c.work(task{do: func() error { return c.complete(token) }})
}

// complete settles a message that the device has. A lost lock is fine: the
// message is on its way again.
func (c *conn) complete(token string) error {
	return ignoreLost(c.session.Complete(c.ctx, token))
}

func ignoreLost(err error) error {
	if errors.Is(err, hub.ErrLockLost) {
		return nil
	}
	return err
}

// boundTopic is devices/{d}/messages/devicebound/ with the message's bag.
func (c *conn) boundTopic(m *hub.CloudMessage) []byte {
	b := append([]byte(c.names.base), levelBound...)
	start := len(b)
	pair := func(p mqtt311.Pair) {
		if len(b) > start {
			b = append(b, '&')
		}
		b = mqtt311.AppendPair(b, p)
	}
	for _, p := range [...]mqtt311.Pair{
		{Key: "$.mid", Value: m.MessageID},
		{Key: "$.cid", Value: m.CorrelationID},
		{Key: "$.uid", Value: m.UserID},
		{Key: "$.to", Value: m.To},
		{Key: "$.ct", Value: m.ContentType},
		{Key: "$.ce", Value: m.Encoding},
		{Key: "iothub-ack", Value: m.Ack},
	} {
		if p.Value != "" {
			pair(p)
		}
	}
	for _, p := range m.Properties {
		pair(mqtt311.Pair{Key: p.Key, Value: p.Value, Null: p.Null})
	}
	return b
}
