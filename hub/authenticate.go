package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/telemetry"
)

// A Credential is what a device shows when it connects.
type Credential struct {
	ID           ID
	HostName     string // the hub host that the device named: any host is accepted in a token whose signature is right
	Token        string // shared access signature, or "" with a certificate
	Certificates []*x509.Certificate
	ModelID      string // digital twin model that the device announced, or ""
	ClientType   string // the SDK's product info, for the log
	Protocol     string // "mqtt", "mqtt-ws", "https"
	RemoteAddr   string
}

// A proof is what a session was admitted for.
type proof struct {
	key        Secret    // of the identity, that signed the token; "" with a policy or certificate
	thumbprint string    // of the certificate
	expires    time.Time // of the token; zero with a certificate
	policy     bool
}

// authenticate finds who c is. What was wrong with c is for the log alone, and
// the check of an unknown device takes the time of a known one's.
func (h *Hub) authenticate(ctx context.Context, c Credential) (*Device, proof, error) {
	refuse := func(why string) (*Device, proof, error) {
		h.LogRefusal(c, why)
		return nil, proof{}, ErrUnauthorized
	}
	if c.ID.check() != nil {
		return refuse("the id is not allowed")
	}
	d, enabled, err := h.identity(ctx, c.ID)
	if err != nil && !errors.Is(err, c.ID.NotFound()) {
		return nil, proof{}, err
	}
	p, why := proof{}, "neither a token nor a certificate"
	switch {
	case c.Token != "":
		p, why = h.checkToken(c, d)
	case len(c.Certificates) > 0:
		p, why = checkCertificate(c.Certificates[0], d)
	}
	switch {
	case d == nil:
		return refuse("not registered")
	case !enabled:
		return refuse("disabled")
	case why != "":
		return refuse(why)
	}
	return d, p, nil
}

// identity returns the row of id and whether its device is enabled.
func (h *Hub) identity(ctx context.Context, id ID) (d *Device, enabled bool, err error) {
	d, err = h.registry.Device(ctx, id)
	if err != nil {
		return nil, false, h.failure("reading a device", id, err)
	}
	parent := d
	if id.Module != "" {
		if parent, err = h.registry.Device(ctx, id.parent()); err != nil {
			return nil, false, h.failure("reading a device", id, err)
		}
	}
	return d, parent.Status != StatusDisabled, nil
}

// checkToken says what is wrong with c's token, or "". d is nil for an unknown device.
func (h *Hub) checkToken(c Credential, d *Device) (p proof, wrong string) {
	t, err := sas.Parse(c.Token)
	if err != nil {
		return p, "the token is malformed"
	}
	p.expires = t.Expires
	primary, secondary := h.nobody.PrimaryKey, h.nobody.SecondaryKey
	if t.Policy != "" {
		if policy, ok := h.policies.Policy(t.Policy); ok && policy.Permissions&DeviceConnect != 0 {
			primary, secondary, p.policy = policy.PrimaryKey, policy.SecondaryKey, true
		}
	} else if d != nil && d.Authentication != nil && d.Authentication.Type == AuthSAS {
		primary, secondary = d.Authentication.SymmetricKey.PrimaryKey, d.Authentication.SymmetricKey.SecondaryKey
	}
	first, second := t.Verify(string(primary)), t.Verify(string(secondary))
	switch {
	case !first && !second:
		return p, "the signature is wrong"
	case !t.Covers(c.ID.resource()):
		return p, "the token is for something else"
	case !h.now().Before(t.Expires):
		return p, "the token has expired"
	}
	if p.key = primary; !first {
		p.key = secondary
	}
	return p, ""
}

// resource is what a token of id must cover.
func (id ID) resource() string {
	if id.Module == "" {
		return "devices/" + id.Device
	}
	return "devices/" + id.Device + "/modules/" + id.Module
}

// checkCertificate compares thumbprints; that the device has the key, TLS has proved.
func checkCertificate(cert *x509.Certificate, d *Device) (p proof, wrong string) {
	if d == nil || d.Authentication == nil || d.Authentication.Type != AuthSelfSigned {
		return p, "the device does not use a self-signed certificate"
	}
	short, long := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	for _, have := range []string{hex.EncodeToString(short[:]), hex.EncodeToString(long[:])} {
		p.thumbprint = have
		if p.good(d) {
			return p, ""
		}
	}
	return p, "the certificate's thumbprint is another"
}

// good says whether p still proves that its session is d's.
func (p *proof) good(d *Device) bool {
	if p.policy {
		return true
	}
	if d.Authentication == nil {
		return false
	}
	switch d.Authentication.Type {
	case AuthSAS:
		k := d.Authentication.SymmetricKey
		return p.key != "" && (equal(string(p.key), string(k.PrimaryKey)) || equal(string(p.key), string(k.SecondaryKey)))
	case AuthSelfSigned:
		t := d.Authentication.X509Thumbprint
		return p.thumbprint != "" &&
			(equal(p.thumbprint, plainThumbprint(t.PrimaryThumbprint)) || equal(p.thumbprint, plainThumbprint(t.SecondaryThumbprint)))
	}
	return false
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// plainThumbprint is s as hexadecimal in lower case, without what tools put between.
func plainThumbprint(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// Values of the annotation iothub-connection-auth-method.
const (
	methodDevice = `{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}`
	methodModule = `{"scope":"module","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}`
	methodHub    = `{"scope":"hub","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}`
	methodX509   = `{"scope":"device","type":"x509Certificate","issuer":"external","acceptingIpFilterRule":null}`
)

// stamps are the system properties that say who sent a message.
func (p *proof) stamps(d *Device, model string) telemetry.Properties {
	method := methodDevice
	switch {
	case p.policy:
		method = methodHub
	case p.thumbprint != "":
		method = methodX509
	case d.ModuleID != "":
		method = methodModule
	}
	s := make(telemetry.Properties, 2, StampedProperties)
	s[0] = telemetry.Property{Key: telemetry.AuthMethod, Value: method}
	s[1] = telemetry.Property{Key: telemetry.GenerationID, Value: d.GenerationID}
	if model != "" {
		s = append(s, telemetry.Property{Key: telemetry.DataSchema, Value: model})
	}
	return s[:len(s):len(s)]
}

// Authorize checks the Authorization header of a service call: a shared access
// signature of a policy that has all of need, for a resource that covers
// resource (the path: "" for the hub, "devices/d1" …).
func (h *Hub) Authorize(authorization, resource string, need Permission) error {
	t, err := sas.Parse(authorization)
	if err != nil {
		return ErrUnauthorized
	}
	policy, ok := h.policies.Policy(t.Policy)
	if !ok {
		policy = h.nobody
	}
	first, second := t.Verify(string(policy.PrimaryKey)), t.Verify(string(policy.SecondaryKey))
	if !ok || !first && !second || !h.now().Before(t.Expires) ||
		policy.Permissions&need != need || !t.Covers(resource) {
		return ErrUnauthorized
	}
	return nil
}
