package device

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// Options configure a Client; the zero value works.
type Options struct {
	// Window is the number of messages that may wait for their acknowledgement;
	// a sender beyond it waits. At most MaxWindow, default 256.
	Window int
	// WindowBytes bounds the encoded bytes of those messages. Default 4 MiB;
	// a single message always fits.
	WindowBytes int
	// KeepAlive is the time without traffic after which the client makes sure
	// that the hub is still there; a silent hub is given up within it. From 2 s
	// to 1177 s, which is IoT Hub's maximum; default 60 s.
	KeepAlive time.Duration
	// WebSocket connects through wss:// on port 443, for networks that let
	// nothing else out.
	WebSocket bool
	// RootCAs are the authorities trusted for the hub's certificate. Default:
	// those of the system and of the file that SSL_CERT_FILE names.
	RootCAs *x509.CertPool
	// Certificate authenticates the device by X.509; the connection string then
	// says x509=true and has no key.
	Certificate *tls.Certificate
	// TokenLife is the validity of the tokens that the client signs; it
	// reconnects with a fresh one when 85 % of it has passed. Default 1 h.
	TokenLife time.Duration
	// BackoffMin and BackoffMax bound the pause between attempts to connect: it
	// doubles from the first to the second, and half of it is random. Default
	// 250 ms and 30 s.
	BackoffMin, BackoffMax time.Duration
	// ProductInfo is appended to the client's name that the hub sees.
	ProductInfo string
	// ModelID announces a digital twin model, as dtmi:com:example:Pump;1.
	ModelID string
	// OnConnection is told when the connection is there (nil) and when it is
	// lost (why). It must not block.
	OnConnection func(err error)
	// Logger is told about lost connections; default: discards.
	Logger *slog.Logger
	// Dial opens the TCP connection; default net.Dialer. A proxy goes here.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock that tokens are dated by; default time.Now.
	Now func() time.Time

	plain bool // tests: MQTT without TLS
}

const (
	// MaxWindow bounds Options.Window: packet identifiers have 16 bits.
	MaxWindow = 1 << 15
	// MaxMessage is the size in bytes that a hub takes, body and properties.
	MaxMessage = 256 << 10

	defaultWindow      = 256
	defaultWindowBytes = 4 << 20
	defaultKeepAlive   = 60 * time.Second
	minKeepAlive       = 2 * time.Second
	maxKeepAlive       = 1177 * time.Second
	defaultTokenLife   = time.Hour
	defaultBackoffMin  = 250 * time.Millisecond
	defaultBackoffMax  = 30 * time.Second
)

// complete fills in defaults and refuses what cannot work.
func (o *Options) complete(cred credentials) error {
	fill(&o.Window, defaultWindow)
	fill(&o.WindowBytes, defaultWindowBytes)
	fill(&o.KeepAlive, defaultKeepAlive)
	fill(&o.TokenLife, defaultTokenLife)
	fill(&o.BackoffMin, defaultBackoffMin)
	fill(&o.BackoffMax, max(defaultBackoffMax, o.BackoffMin))
	if o.Window < 1 || o.Window > MaxWindow {
		return fmt.Errorf("device: Options.Window is %d: from 1 to %d", o.Window, MaxWindow)
	}
	if o.WindowBytes < 1 {
		return fmt.Errorf("device: Options.WindowBytes is %d: must be positive", o.WindowBytes)
	}
	if o.KeepAlive < minKeepAlive || o.KeepAlive > maxKeepAlive {
		return fmt.Errorf("device: Options.KeepAlive is %v: from %v to %v", o.KeepAlive, minKeepAlive, maxKeepAlive)
	}
	if o.TokenLife < time.Second {
		return fmt.Errorf("device: Options.TokenLife is %v: at least 1s", o.TokenLife)
	}
	if o.BackoffMin < 0 || o.BackoffMax < o.BackoffMin {
		return fmt.Errorf("device: Options.BackoffMin %v and BackoffMax %v: the first must not be above the second", o.BackoffMin, o.BackoffMax)
	}
	if cred.X509 && o.Certificate == nil {
		return fmt.Errorf("device: the connection string says x509=true: set Options.Certificate")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RootCAs != nil || o.plain {
		return nil
	}
	var err error
	o.RootCAs, err = envRoots()
	return err
}

// envRoots adds the file of SSL_CERT_FILE to the system's authorities, on every
// operating system alike; nil where it is not set.
func envRoots() (*x509.CertPool, error) {
	file := os.Getenv("SSL_CERT_FILE")
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("device: reading the authorities that SSL_CERT_FILE names: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("device: SSL_CERT_FILE=%s holds no PEM certificate", file)
	}
	return pool, nil
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
