package mqtt

import (
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// maxFilters bounds the filters of one SUBSCRIBE or UNSUBSCRIBE. IoT Hub
// allows five subscriptions; a packet may repeat itself.
const maxFilters = 16

// subscribe answers SUBSCRIBE: QoS 2 is granted as 1, a filter that IoT Hub
// does not document closes the connection. Methods and desired properties
// arrive from before SUBACK leaves, so that a device that has it misses
// nothing; cloud-to-device messages that wait leave behind it.
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
	feeds := subs.feeds()
	if f := feeds &^ hub.FeedCloudToDevice; f != 0 {
		if err := c.session.Subscribe(c.ctx, f); err != nil {
			return err
		}
	}
	ack := mqtt311.Suback{ID: p.ID, Codes: granted[:n]}
	if feeds&hub.FeedCloudToDevice == 0 {
		c.reply(func(b []byte) []byte { return mqtt311.AppendSuback(b, ack) })
		return nil
	}
	return c.work(task{do: func() error {
		c.reply(func(b []byte) []byte { return mqtt311.AppendSuback(b, ack) })
		return c.session.Subscribe(c.ctx, hub.FeedCloudToDevice)
	}})
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
	gone, id := before&^subs.feeds(), p.ID
	if f := gone &^ hub.FeedCloudToDevice; f != 0 {
		if err := c.session.Unsubscribe(c.ctx, f); err != nil {
			return err
		}
	}
	if gone&hub.FeedCloudToDevice == 0 {
		c.reply(func(b []byte) []byte { return mqtt311.AppendUnsuback(b, id) })
		return nil
	}
	return c.work(task{do: func() error {
		if err := c.session.Unsubscribe(c.ctx, hub.FeedCloudToDevice); err != nil {
			return err
		}
		c.forgetLocks()
		c.reply(func(b []byte) []byte { return mqtt311.AppendUnsuback(b, id) })
		return nil
	}})
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
