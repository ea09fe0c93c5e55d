package hub

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/weir-iot/weir/internal/sas"
)

// A Device is the identity of a device, or of a module where ModuleID is not
// "". Its JSON form is that of the service REST API 2021-04-12. Times have
// milliseconds, UTC; the zero time says never.
type Device struct {
	DeviceID                   string          `json:"deviceId"`
	ModuleID                   string          `json:"moduleId,omitempty"`
	GenerationID               string          `json:"generationId,omitempty"` // tells a device from an earlier one of the same id
	ETag                       string          `json:"etag,omitempty"`
	ConnectionState            string          `json:"connectionState,omitempty"` // Connected or Disconnected
	Status                     string          `json:"status,omitempty"`          // enabled or disabled; "" for a module, which follows its device
	StatusReason               string          `json:"statusReason,omitempty"`
	ConnectionStateUpdatedTime time.Time       `json:"connectionStateUpdatedTime"`
	StatusUpdatedTime          time.Time       `json:"statusUpdatedTime"`
	LastActivityTime           time.Time       `json:"lastActivityTime"`
	CloudToDeviceMessageCount  int             `json:"cloudToDeviceMessageCount"`
	Authentication             *Authentication `json:"authentication,omitempty"` // nil in a PutDevice: new keys
	Capabilities               *Capabilities   `json:"capabilities,omitempty"`
	DeviceScope                string          `json:"deviceScope,omitempty"`
	ParentScopes               []string        `json:"parentScopes,omitempty"`
	ManagedBy                  string          `json:"managedBy,omitempty"` // of a module
}

// Authentication says how an identity proves who it is.
type Authentication struct {
	SymmetricKey   SymmetricKey   `json:"symmetricKey"`
	X509Thumbprint X509Thumbprint `json:"x509Thumbprint"`
	Type           string         `json:"type,omitempty"` // sas, selfSigned, certificateAuthority or none
}

// SymmetricKey holds the two keys of an identity; either is good.
type SymmetricKey struct {
	PrimaryKey   Secret `json:"primaryKey"`
	SecondaryKey Secret `json:"secondaryKey"`
}

// X509Thumbprint holds SHA-1 or SHA-256 fingerprints of certificates, in hexadecimal.
type X509Thumbprint struct {
	PrimaryThumbprint   string `json:"primaryThumbprint,omitempty"`
	SecondaryThumbprint string `json:"secondaryThumbprint,omitempty"`
}

// Capabilities of a device.
type Capabilities struct {
	IotEdge bool `json:"iotEdge"`
}

// Values of Device.Status, Device.ConnectionState and Authentication.Type.
const (
	StatusEnabled     = "enabled"
	StatusDisabled    = "disabled"
	StateConnected    = "Connected"
	StateDisconnected = "Disconnected"

	AuthSAS        = "sas"
	AuthSelfSigned = "selfSigned"
	AuthCA         = "certificateAuthority"
	AuthNone       = "none"
)

// ID returns who d is.
func (d *Device) ID() ID { return ID{d.DeviceID, d.ModuleID} }

// LogValue shows the id alone: a Device holds keys.
func (d Device) LogValue() slog.Value { return slog.StringValue(d.ID().String()) }

// LogValue shows the type alone.
func (a Authentication) LogValue() slog.Value { return slog.StringValue(a.Type) }

// Format shows the type alone: a verb that does not fit makes package fmt print
// what a pointer points to, without asking the fields how.
func (a Authentication) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.Type) }

// LogValue hides the keys.
func (SymmetricKey) LogValue() slog.Value { return slog.StringValue("***") }

// ConnectionString is what a device's or module's SDK is configured with.
func (d *Device) ConnectionString(host string) string {
	c := sas.ConnectionString{HostName: host, DeviceID: d.DeviceID, ModuleID: d.ModuleID}
	if a := d.Authentication; a != nil && a.Type != AuthSAS {
		c.X509 = true
	} else if a != nil {
		c.SharedAccessKey = string(a.SymmetricKey.PrimaryKey)
	}
	return c.Encode()
}

// ReadStored reads the JSON form as a Registry keeps it, in half the time of
// UnmarshalJSON.
func (d *Device) ReadStored(b []byte) error {
	type plain Device // without methods
	return json.Unmarshal(b, (*plain)(d))
}

// UnmarshalJSON also takes times without a zone, which Azure writes too.
func (d *Device) UnmarshalJSON(b []byte) error {
	type plain Device
	in := struct {
		*plain
		ConnectionStateUpdatedTime zoneless `json:"connectionStateUpdatedTime"`
		StatusUpdatedTime          zoneless `json:"statusUpdatedTime"`
		LastActivityTime           zoneless `json:"lastActivityTime"`
	}{plain: (*plain)(d)}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	d.ConnectionStateUpdatedTime = time.Time(in.ConnectionStateUpdatedTime)
	d.StatusUpdatedTime = time.Time(in.StatusUpdatedTime)
	d.LastActivityTime = time.Time(in.LastActivityTime)
	return nil
}

type zoneless time.Time

func (z *zoneless) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil || *s == "" {
		return err
	}
	t, err := time.Parse(time.RFC3339, *s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", *s)
	}
	if err != nil {
		return fmt.Errorf("time %q: want RFC 3339", *s)
	}
	*z = zoneless(t.UTC())
	return nil
}
