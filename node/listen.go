package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/weir-iot/weir/config"
)

// listeners are the open ports. What the configuration turns off is nil.
type listeners struct {
	mqtt, plain, https, standard, api net.Listener
}

// listen opens all ports, or none.
func listen(ctx context.Context, c *config.Config, logger *slog.Logger) (_ *listeners, err error) {
	l := &listeners{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if c.Does(config.RoleAPI) {
		if l.api, err = bind(ctx, c.API.Listen, "the API", "api.listen or --api"); err != nil {
			return nil, err
		}
	}
	if l.mqtt, err = bind(ctx, c.MQTT.Listen, "MQTT", "mqtt.listen or --mqtt"); err != nil {
		return nil, err
	}
	if c.MQTT.Plain != "" {
		if !config.Loopback(c.MQTT.Plain) {
			return nil, fmt.Errorf("node: mqtt.plain %s is not a loopback address: MQTT without TLS is served on 127.0.0.1 only", c.MQTT.Plain)
		}
		if l.plain, err = bind(ctx, c.MQTT.Plain, "MQTT without TLS", "mqtt.plain"); err != nil {
			return nil, err
		}
	}
	if l.https, err = bind(ctx, c.HTTPS.Listen, "HTTPS", "https.listen or --https"); err != nil {
		return nil, err
	}
	if c.HTTPS.Standard != "" {
		var notice error
		if l.standard, notice = bind(ctx, c.HTTPS.Standard, "HTTPS", "https.standard"); notice != nil {
			logger.Warn("https is served on the other port alone: the Node service SDK and MQTT over WebSocket need this one", "address", c.HTTPS.Standard, "reason", notice)
		}
	}
	return l, nil
}

// all lists the listeners that are open.
func (l *listeners) all() []net.Listener {
	var open []net.Listener
	for _, one := range []net.Listener{l.mqtt, l.plain, l.standard, l.https, l.api} {
		if one != nil {
			open = append(open, one)
		}
	}
	return open
}

func (l *listeners) close() {
	for _, one := range l.all() {
		_ = one.Close() // nothing was served on it, or its server closed it already
	}
}

// bind listens at address; the error says why not, and what to do.
func bind(ctx context.Context, address, what, key string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	remedy := "choose another address with " + key
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another program listens there (find it with: ss -ltnp): stop it, or " + remedy
	case errors.Is(err, syscall.EACCES):
		_, port, _ := net.SplitHostPort(address)
		remedy = fmt.Sprintf("a port below 1024 must be allowed: sudo sysctl net.ipv4.ip_unprivileged_port_start=%s, or: sudo setcap cap_net_bind_service=+ep $(which weir)", port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine has no such address: " + remedy
	}
	return nil, fmt.Errorf("node: %s cannot be served at %s: %w: %s", what, address, cause(err), remedy)
}

// cause is the innermost reason: "address already in use".
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// dialable turns the address of a listener into one that this machine can dial.
func dialable(l net.Listener) string {
	at, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	if at.Addr().IsUnspecified() { // all addresses, IPv4 among them
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
}

// certificateNames are all names that a client of these listeners may verify.
func certificateNames(c *config.Config, machine string, l *listeners) []string {
	names := []string{"localhost", "hub.localhost", "127.0.0.1", "::1"}
	if machine = strings.ToLower(machine); config.CheckName(machine) == nil {
		names = append(names, machine)
	}
	names = append(names, c.Hub.HostName)
	for _, one := range l.all() {
		if at, err := netip.ParseAddrPort(one.Addr().String()); err == nil && !at.Addr().IsUnspecified() {
			names = append(names, at.Addr().Unmap().WithZone("").String())
		}
	}
	return append(names, c.TLS.Names...)
}
