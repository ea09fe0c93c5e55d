package device

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/weir-iot/weir/internal/mqtt311"
)

// apiVersion is that of the username, as the SDKs of 2021 and later send it.
const apiVersion = "2021-04-12"

// credentials are what a connection string says.
type credentials struct {
	host      string // of the hub, as tokens and the username name it
	gateway   string // where to connect instead, or ""
	device    string
	module    string
	key       []byte
	signature string // a ready token instead of a key
	x509      bool

	inboxTopic string // of cloud-to-device messages, up to the property bag
}

// parseConnectionString reads "HostName=…;DeviceId=…;SharedAccessKey=…". Keys
// match without case; unknown ones are passed over. Errors never show values
// of secrets.
func parseConnectionString(s string) (credentials, error) {
	var c credentials
	var key string
	for part := range strings.SplitSeq(strings.TrimSpace(s), ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			if part != "" {
				return c, errors.New("device: connection string: a part without '=': expected HostName=…;DeviceId=…;SharedAccessKey=…")
			}
			continue
		}
		switch strings.ToLower(name) {
		case "hostname":
			c.host = value
		case "gatewayhostname":
			c.gateway = value
		case "deviceid":
			c.device = value
		case "moduleid":
			c.module = value
		case "sharedaccesskey":
			key = value
		case "sharedaccesssignature":
			c.signature = value
		case "x509":
			c.x509 = strings.EqualFold(value, "true")
		case "sharedaccesskeyname":
			return c, errors.New("device: connection string: SharedAccessKeyName makes it a service's: use the device's, with DeviceId")
		}
	}
	switch {
	case c.host == "":
		return c, errors.New("device: connection string: HostName is missing")
	case c.device == "":
		return c, errors.New("device: connection string: DeviceId is missing")
	case len(c.clientID()) > mqtt311.MaxString/8:
		return c, errors.New("device: connection string: DeviceId or ModuleId is too long")
	case key == "" && c.signature == "" && !c.x509:
		return c, errors.New("device: connection string: SharedAccessKey is missing (or x509=true)")
	}
	var err error
	if c.key, err = base64.StdEncoding.DecodeString(key); err != nil {
		return c, errors.New("device: connection string: SharedAccessKey is not base64: copy it whole, with the '=' at its end")
	}
	c.inboxTopic = "devices/" + c.device + "/messages/devicebound/"
	if c.module != "" {
		c.inboxTopic = "devices/" + c.device + "/modules/" + c.module + "/inputs/"
	}
	return c, nil
}

func (c *credentials) clientID() string {
	if c.module == "" {
		return c.device
	}
	return c.device + "/" + c.module
}

// hub is the host without a port: the name that tokens and username carry.
func (c *credentials) hub() string { return withoutPort(c.host) }

// address is where to connect: the gateway where there is one, and the port
// unless the connection string has its own.
func (c *credentials) address(port string) (host, address string) {
	target := c.host
	if c.gateway != "" {
		target = c.gateway
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
	if c.module == "" {
		return "devices/" + c.device + "/messages/events/"
	}
	return "devices/" + c.device + "/modules/" + c.module + "/messages/events/"
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
func (c *credentials) token(o *Options) (token string, renew time.Time) {
	if c.x509 {
		return "", time.Time{}
	}
	if c.signature != "" {
		return c.signature, time.Time{}
	}
	resource := c.hub() + "/devices/" + url.PathEscape(c.device)
	if c.module != "" {
		resource += "/modules/" + url.PathEscape(c.module)
	}
	now := o.Now()
	expires := now.Add(o.TokenLife)
	sr := url.QueryEscape(resource)
	se := strconv.FormatInt(expires.Unix(), 10)
	mac := hmac.New(sha256.New, c.key)
	fmt.Fprintf(mac, "%s\n%s", sr, se)
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return "SharedAccessSignature sr=" + sr + "&sig=" + sig + "&se=" + se, now.Add(o.TokenLife * 85 / 100)
}
