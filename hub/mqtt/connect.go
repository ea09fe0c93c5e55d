package mqtt

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// connect reads CONNECT, authenticates and answers. It returns the result for
// the metric, and the reason of a refusal.
func (c *conn) connect(certificates []*x509.Certificate) (result string, err error) {
	p, err := c.readConnect()
	switch {
	case errors.Is(err, mqtt311.ErrProtocol):
		return c.refuse(mqtt311.RefusedProtocol, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout", err
	case isProtocolError(err):
		return "malformed", err
	case err != nil:
		return "lost", err
	}
	u, err := parseUsername(strings.Clone(p.Username))
	if err != nil {
		return c.refuse(mqtt311.RefusedCredentials, err)
	}
	if p.ClientID != u.id.String() {
		return c.refuse(mqtt311.RefusedClientID, fmt.Errorf("hub/mqtt: client id must be %q, as in the user name", u.id))
	}
	names := newNames(u.id)
	will, err := newWill(&p, names)
	if err != nil {
		return "will", err
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.srv.opt.ConnectTimeout)
	defer cancel()
	session, err := c.srv.hub.Connect(ctx, hub.Credential{
		ID:           u.id,
		HostName:     u.host,
		Token:        string(p.Password),
		Certificates: certificates,
		ModelID:      u.modelID,
		ClientType:   u.clientType,
		Protocol:     c.from.protocol,
		RemoteAddr:   remoteAddr(c.nc),
	}, c)
	if err != nil {
		return c.refuse(refusal(err), err)
	}
	c.session, c.id, c.names, c.will = session, session.ID(), names, will
	c.limit, c.clean = maxPacket, p.CleanSession
	c.silence = silence(p.KeepAlive)
	return "accepted", c.resume()
}

// readConnect waits for the first packet. The Connect points into the chunk
// that c.in holds until the next rest.
func (c *conn) readConnect() (mqtt311.Connect, error) {
	for {
		h, body, ok, err := c.in.next(c.limit)
		switch {
		case errors.Is(err, errOverLimit) || ok && h.Type != mqtt311.CONNECT:
			if h.Type != mqtt311.CONNECT {
				return mqtt311.Connect{}, errNotConnect
			}
			return mqtt311.Connect{}, errBigConnect
		case err != nil:
			return mqtt311.Connect{}, err
		case ok:
			return mqtt311.ParseConnect(body)
		}
		c.in.rest()
		if err := c.in.fill(); err != nil {
			return mqtt311.Connect{}, err
		}
	}
}

func (c *conn) refuse(code mqtt311.ConnectCode, reason error) (string, error) {
	c.reply(func(b []byte) []byte { return mqtt311.AppendConnack(b, mqtt311.Connack{Code: code}) })
	return connectResults[code], reason
}

var connectResults = [...]string{
	mqtt311.RefusedProtocol:    "protocol",
	mqtt311.RefusedClientID:    "client_id",
	mqtt311.RefusedUnavailable: "unavailable",
	mqtt311.RefusedCredentials: "user_name",
	mqtt311.RefusedAuthorized:  "unauthorized",
}

// refusal turns the hub's error into a code: 5 for every bad credential, 3
// where a later try may succeed.
func refusal(err error) mqtt311.ConnectCode {
	var he *hub.Error
	if errors.As(err, &he) && he.Status != 429 && he.Status < 500 {
		return mqtt311.RefusedAuthorized
	}
	return mqtt311.RefusedUnavailable
}

// resume acknowledges the connection and restores the subscriptions of a
// client that asked to keep them. As with SUBACK, methods and desired
// properties arrive from before CONNACK leaves, and behind it.
func (c *conn) resume() error {
	var subs subscriptions
	var present bool
	if c.clean {
		c.srv.sessions.forget(c.id)
	} else {
		subs, present = c.srv.sessions.resume(c.id)
	}
	c.cork()
	defer c.uncork()
	c.mu.Lock()
	c.subs = subs
	c.queue(func(b []byte) []byte {
		return mqtt311.AppendConnack(b, mqtt311.Connack{SessionPresent: present})
	})
	c.mu.Unlock()
	feeds := subs.feeds()
	if f := feeds &^ hub.FeedCloudToDevice; f != 0 {
		if err := c.session.Subscribe(c.ctx, f); err != nil {
			return err
		}
	}
	if feeds&hub.FeedCloudToDevice == 0 {
		return nil
	}
	return c.work(task{do: func() error { return c.session.Subscribe(c.ctx, hub.FeedCloudToDevice) }})
}

// silence is the ticks without a packet after which a connection is dead.
func silence(keepAlive uint16) int64 {
	if keepAlive == 0 {
		return maxSilence
	}
	return min(int64(keepAlive)*3/2+1, maxSilence)
}

func remoteAddr(nc interface{ RemoteAddr() net.Addr }) string {
	if a := nc.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}
