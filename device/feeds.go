package device

import (
	"fmt"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// A feed is one of the four topics that a device subscribes to; IoT Hub allows
// five subscriptions.
type feed uint8

const (
	feedTwin feed = iota
	feedDesired
	feedMethods
	feedMessages
	feedCount
)

// A subscription is asked for again on every connection; guarded by Client.mu.
type subscription struct {
	wanted  bool // since the first use
	granted bool // on this connection
}

// subscribeID is the packet identifier of a feed's SUBSCRIBE, above those of messages.
func subscribeID(f feed) uint16 { return packetIDs + 1 + uint16(f) }

func (c *Client) filter(f feed) mqtt311.Subscription {
	switch f {
	case feedTwin:
		return mqtt311.Subscription{Filter: twinResponse + "#"}
	case feedDesired:
		return mqtt311.Subscription{Filter: desiredPrefix + "#"}
	case feedMethods:
		return mqtt311.Subscription{Filter: methodPrefix + "#"}
	default:
		return mqtt311.Subscription{Filter: c.cred.inboxTopic + "#", QoS: 1}
	}
}

// want subscribes to f, now and on every later connection; c.mu is held.
func (c *Client) want(f feed) {
	if c.feeds[f].wanted {
		return
	}
	c.feeds[f].wanted = true
	if c.session != nil {
		c.subscribe(f)
		c.kick()
	}
}

// subscribe queues a SUBSCRIBE; c.mu is held.
func (c *Client) subscribe(f feed) {
	c.control = mqtt311.AppendSubscribe(c.control, subscribeID(f), c.filter(f))
}

// granted notes the hub's answer to a SUBSCRIBE and lets go what waited for it.
func (c *Client) granted(ack mqtt311.Suback) {
	f := feed(ack.ID - packetIDs - 1)
	if ack.ID <= packetIDs || f >= feedCount {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ack.Codes[0] == mqtt311.SubscribeFailed {
		c.refusedFeed(f)
		return
	}
	c.feeds[f].granted = true
	switch f {
	case feedTwin:
		c.control = c.requests.appendAll(c.control)
	case feedDesired:
		c.syncDesired()
	}
	c.state(nil)
	c.kick()
}

// refusedFeed fails what depends on f; c.mu is held.
func (c *Client) refusedFeed(f feed) {
	err := fmt.Errorf("%w: subscription to %s", ErrRefused, c.filter(f).Filter)
	c.logger.Error("the hub refused a subscription", "error", err)
	c.feeds[f] = subscription{}
	if f == feedTwin {
		c.requests.fail(err)
	}
	c.state(nil)
}
