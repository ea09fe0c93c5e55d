package device

import (
	"fmt"
	"strings"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// read handles what the hub sends until the connection fails.
func (c *Client) read(s *session) error {
	var acks []uint16
	for {
		h, body, err := s.frames.next()
		if err != nil {
			return fmt.Errorf("device: connection lost: %w", err)
		}
		s.heard.Store(true)
		if h.Type == mqtt311.PUBACK {
			id, err := mqtt311.ParsePuback(body)
			if err != nil {
				return err
			}
			if acks = append(acks, id); s.frames.pending() && len(acks) < maxAcks {
				continue // settle all that came at once together
			}
		}
		if len(acks) > 0 {
			c.settle(s, acks)
			acks = acks[:0]
		}
		if err := c.receive(s, h, body); err != nil {
			return err
		}
	}
}

// maxAcks bounds how many acknowledgements are settled together.
const maxAcks = 128

// settle frees acknowledged messages and runs their callbacks, in order.
func (c *Client) settle(s *session, acks []uint16) {
	var room [maxAcks]func(error)
	done := room[:0]
	c.mu.Lock()
	for _, id := range acks {
		if f := c.window.ack(id); f != nil {
			done = append(done, f)
		}
	}
	c.checkQuiet(s)
	c.mu.Unlock()
	c.stats.acked.Add(int64(len(done)))
	c.handOn()
	for _, f := range done {
		f(nil)
	}
	c.mu.Lock()
	c.checkDrained() // after the callbacks: Close returns behind them
	c.mu.Unlock()
}

func (c *Client) receive(s *session, h mqtt311.Header, body []byte) error {
	switch h.Type {
	case mqtt311.PUBACK, mqtt311.PINGRESP, mqtt311.UNSUBACK:
		return nil
	case mqtt311.SUBACK:
		ack, err := mqtt311.ParseSuback(body)
		if err != nil {
			return err
		}
		c.granted(ack)
		return nil
	case mqtt311.PUBLISH:
		p, err := mqtt311.ParsePublish(h.Flags, body)
		if err != nil {
			return err
		}
		return c.message(s, &p, body)
	default:
		return fmt.Errorf("device: the hub sent %v, which a server never does", h.Type)
	}
}

// message hands an incoming PUBLISH to whom its topic names. The topic's bytes
// are decoded in place.
func (c *Client) message(s *session, p *mqtt311.Publish, body []byte) error {
	topic := body[2 : 2+len(p.Topic)]
	switch {
	case strings.HasPrefix(p.Topic, twinResponse):
		return c.response(topic[len(twinResponse):], p.Payload)
	case strings.HasPrefix(p.Topic, desiredPrefix):
		return c.desiredPatch(topic[len(desiredPrefix):], p.Payload)
	case strings.HasPrefix(p.Topic, methodPrefix):
		return c.methodCall(s, topic[len(methodPrefix):], p.Payload)
	case strings.HasPrefix(p.Topic, c.cred.inboxTopic):
		return c.cloudMessage(s, topic[len(c.cred.inboxTopic):], p)
	default:
		c.logger.Warn("the hub sent a message on an unknown topic, ignored", "topic", p.Topic)
		return nil
	}
}

// reply queues a packet on connection s, if that is still the live one.
func (c *Client) reply(s *session, encode func(b []byte) []byte) {
	c.mu.Lock()
	if c.session == s && !s.last {
		c.control = encode(c.control)
	}
	c.mu.Unlock()
	c.kick()
}
