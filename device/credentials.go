package device

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/sas"
)

// apiVersion is that of the username, as the SDKs of 2021 and later send it.
const apiVersion = "2021-04-12"

// credentials are what a connection string says.
type credentials struct {
	sas.ConnectionString
	inboxTopic string // of cloud-to-device messages, up to the property bag
}

// parseConnectionString reads a device's "HostName=…;DeviceId=…;SharedAccessKey=…".
func parseConnectionString(s string) (credentials, error) {
	cs, err := sas.ParseConnectionString(s)
	c := credentials{ConnectionString: cs}
	switch {
	case err != nil:
		return c, fmt.Errorf("device: %w", err)
	case c.SharedAccessKeyName != "":
		return c, errors.New("device: connection string: SharedAccessKeyName makes it a service's: use the device's own")
	case c.DeviceID == "":
		return c, errors.New("device: connection string: DeviceId is missing")
	case len(c.clientID()) > maxID:
		return c, fmt.Errorf("device: connection string: DeviceId or ModuleId is longer than %d characters", maxID)
	}
	c.inboxTopic = "devices/" + c.DeviceID + "/messages/devicebound/"
	if c.ModuleID != "" {
		c.inboxTopic = "devices/" + c.DeviceID + "/modules/" + c.ModuleID + "/inputs/"
	}
	return c, nil
}

// maxID bounds device and module id together: IoT Hub allows 128 characters each.
const maxID = 257

func (c *credentials) clientID() string {
	if c.ModuleID == "" {
		return c.DeviceID
	}
	return c.DeviceID + "/" + c.ModuleID
}

// hub is the host without a port: the name that tokens and username carry.
func (c *credentials) hub() string { return withoutPort(c.HostName) }

// address is where to connect: the gateway where there is one, and the port
// unless the connection string has its own.
func (c *credentials) address(port string) (host, address string) {
	target := c.HostName
	if c.GatewayHostName != "" {
		target = c.GatewayHostName
	}
	host = withoutPort(target)
	if host != target && !strings.HasPrefix(target, "[") {
		return host, target
	}
	if strings.Contains(target, "]:") {
		return host, target
	}
	if strings.Contains(host, ":") {
		return host, "[" + host + "]:" + port
	}
	return host, host + ":" + port
}

func withoutPort(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		name, _, _ := strings.Cut(rest, "]")
		return name
	}
	if name, _, ok := strings.Cut(host, ":"); ok && strings.Count(host, ":") == 1 {
		return name
	}
	return host
}

// topic is where telemetry goes, up to the property bag.
func (c *credentials) topic() string {
	if c.ModuleID == "" {
		return "devices/" + c.DeviceID + "/messages/events/"
	}
	return "devices/" + c.DeviceID + "/modules/" + c.ModuleID + "/messages/events/"
}

// username names the hub, the device and the client, as the SDKs do.
func (c *credentials) username(o *Options) string {
	info := "weir-device (" + runtime.Version() + "; " + runtime.GOOS + "; " + runtime.GOARCH + ")"
	if o.ProductInfo != "" {
		info += " " + o.ProductInfo
	}
	b := append([]byte(c.hub()), '/')
	b = append(b, c.clientID()...)
	b = append(b, "/?api-version="+apiVersion+"&DeviceClientType="...)
	b = mqtt311.AppendEscaped(b, info)
	if o.ModelID != "" {
		b = append(b, "&model-id="...)
		b = mqtt311.AppendEscaped(b, o.ModelID)
	}
	return string(b)
}

// token returns a shared access signature and the moment to replace it, zero
// where it cannot be replaced. "" with a certificate.
func (c *credentials) token(o *Options) (token string, renew time.Time, err error) {
	if c.X509 {
		return "", time.Time{}, nil
	}
	if c.SharedAccessSignature != "" {
		return c.SharedAccessSignature, time.Time{}, nil
	}
	resource := c.hub() + "/devices/" + c.DeviceID
	if c.ModuleID != "" {
		resource += "/modules/" + c.ModuleID
	}
	now := o.Now()
	token, err = sas.Sign(resource, c.SharedAccessKey, "", now.Add(o.TokenLife))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("device: signing a token: %w", err)
	}
	return token, now.Add(o.TokenLife * 85 / 100), nil
}
