package hub

import "crypto/x509"

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

// Authorize checks the Authorization header of a service call: a shared access
// signature of a policy that has all of need, for a resource that covers
// resource (the path: "" for the hub, "devices/d1" …).
func (h *Hub) Authorize(authorization, resource string, need Permission) error {
	return ErrUnavailable
}
