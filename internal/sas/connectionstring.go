package sas

import (
	"fmt"
	"strconv"
	"strings"
)

// A ConnectionString is how IoT Hub's SDKs are configured. It holds a key:
// String hides it, Encode shows it.
type ConnectionString struct {
	HostName              string
	DeviceID              string
	ModuleID              string
	SharedAccessKeyName   string // policy, of a service
	SharedAccessKey       string // base64
	SharedAccessSignature string // a token in place of a key
	GatewayHostName       string // host to connect to in place of HostName
	X509                  bool   // a certificate in place of a key
}

// ParseConnectionString reads "Key=value;Key=value…". Keys are
// case-insensitive, as in the SDKs; one that is unknown, doubled, empty or
// missing is an error that names it and never shows a value.
func ParseConnectionString(s string) (ConnectionString, error) {
	var c ConnectionString
	seen := map[string]bool{}
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(s), ";"), ";") {
		key, value, ok := strings.Cut(part, "=")
		if !ok || key == "" {
			return ConnectionString{}, fmt.Errorf("sas: connection string: part %d is not Key=value", len(seen)+1)
		}
		if seen[strings.ToLower(key)] {
			return ConnectionString{}, fmt.Errorf("sas: connection string: %s stands twice", key)
		}
		seen[strings.ToLower(key)] = true
		if value == "" {
			return ConnectionString{}, fmt.Errorf("sas: connection string: %s is empty", key)
		}
		if err := c.set(key, value); err != nil {
			return ConnectionString{}, err
		}
	}
	return c, c.check()
}

func (c *ConnectionString) set(key, value string) error {
	if strings.EqualFold(key, "x509") {
		on, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return fmt.Errorf("sas: connection string: x509 must be true or false")
		}
		c.X509 = on
		return nil
	}
	for _, f := range c.fields() {
		if strings.EqualFold(f.key, key) {
			*f.value = value
			return nil
		}
	}
	return fmt.Errorf("sas: connection string: unknown key %q; known are HostName, DeviceId, ModuleId, SharedAccessKeyName, SharedAccessKey, SharedAccessSignature, GatewayHostName, x509", key)
}

type field struct {
	key   string
	value *string
}

func (c *ConnectionString) fields() []field {
	return []field{
		{"HostName", &c.HostName},
		{"DeviceId", &c.DeviceID},
		{"ModuleId", &c.ModuleID},
		{"SharedAccessKeyName", &c.SharedAccessKeyName},
		{"SharedAccessKey", &c.SharedAccessKey},
		{"SharedAccessSignature", &c.SharedAccessSignature},
		{"GatewayHostName", &c.GatewayHostName},
	}
}

func (c *ConnectionString) check() error {
	missing := func(key, why string) error {
		return fmt.Errorf("sas: connection string: %s is missing%s", key, why)
	}
	switch {
	case c.HostName == "":
		return missing("HostName", "")
	case c.DeviceID == "" && c.ModuleID != "":
		return missing("DeviceId", ", and ModuleId needs it")
	case c.DeviceID == "" && c.SharedAccessKeyName == "":
		return missing("DeviceId or SharedAccessKeyName", "")
	case c.SharedAccessKey == "" && c.SharedAccessSignature == "" && !c.X509:
		return missing("SharedAccessKey, SharedAccessSignature or x509=true", "")
	}
	if c.SharedAccessKey != "" {
		if _, err := decodeKey(nil, c.SharedAccessKey); err != nil {
			return fmt.Errorf("sas: connection string: SharedAccessKey: %w", err)
		}
	}
	return nil
}

// Encode writes c with its key.
func (c ConnectionString) Encode() string {
	var b strings.Builder
	for _, f := range c.fields() {
		if *f.value == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(f.key + "=" + *f.value)
	}
	if c.X509 {
		b.WriteString(";x509=true")
	}
	return b.String()
}

// String writes c without its key.
func (c ConnectionString) String() string {
	if c.SharedAccessKey != "" {
		c.SharedAccessKey = "***"
	}
	if c.SharedAccessSignature != "" {
		c.SharedAccessSignature = "***"
	}
	return c.Encode()
}

// GoString hides the key from %#v too.
func (c ConnectionString) GoString() string { return c.String() }
