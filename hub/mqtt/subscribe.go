package mqtt

import (
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// maxFilters bounds the filters of one SUBSCRIBE or UNSUBSCRIBE. IoT Hub
// allows five subscriptions; a packet may repeat itself.
const maxFilters = 16

// subscribe answers SUBSCRIBE: QoS 2 is granted as 1, a filter that IoT Hub
// does not document closes the connection. SUBACK leaves before what waits
// does.
func (c *conn) subscribe(body []byte) error {
	p, err := mqtt311.ParseSubscribe(body)
	if err != nil {
		return err
	}
	var granted [maxFilters]byte
	n := 0
	subs := c.subscribed()
	for sub := range p.Subscriptions() {
		f := c.names.filterOf(sub.Filter)
		if f == 0 || n == maxFilters {
			return errFilter
		}
		granted[n] = min(sub.QoS, 1)
		subs.filters |= f
		if f == filterDevicebound {
			subs.qos = granted[n]
		}
		n++
	}
	c.setSubscribed(subs)
	c.reply(func(b []byte) []byte {
		return mqtt311.AppendSuback(b, mqtt311.Suback{ID: p.ID, Codes: granted[:n]})
	})
	if f := subs.feeds(); f != 0 {
		return c.session.Subscribe(c.ctx, f)
	}
	return nil
}

// unsubscribe answers UNSUBSCRIBE. Filters that were never subscribed are fine
// (MQTT 3.1.1, section 3.10.4).
func (c *conn) unsubscribe(body []byte) error {
	p, err := mqtt311.ParseUnsubscribe(body)
	if err != nil {
		return err
	}
	subs := c.subscribed()
	before := subs.feeds()
	n := 0
	for name := range p.Filters() {
		if n++; n > maxFilters {
			return errFilter
		}
		subs.filters &^= c.names.filterOf(name)
	}
	c.setSubscribed(subs)
	if gone := before &^ subs.feeds(); gone != 0 {
		if err := c.session.Unsubscribe(c.ctx, gone); err != nil {
			return err
		}
		if gone&hub.FeedCloudToDevice != 0 {
			c.forgetLocks()
		}
	}
	c.reply(func(b []byte) []byte { return mqtt311.AppendUnsuback(b, p.ID) })
	return nil
}

func (c *conn) subscribed() subscriptions {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subs
}

func (c *conn) setSubscribed(subs subscriptions) {
	c.mu.Lock()
	c.subs = subs
	c.mu.Unlock()
	if !c.clean {
		c.srv.sessions.remember(c.id, subs)
	}
}
