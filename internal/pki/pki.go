// Package pki is the certificate authority that a node makes for itself at its
// first start, and the server certificate that devices see. It promises that a
// damaged or unreadable key stops the start with file, reason and remedy, that
// key files are 0600, that a file is whole or not there whenever the power
// goes, and that the server certificate is renewed long before it ends, also
// while the node runs. It leaves out device certificates and revocation.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Lifetimes.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 90 * 24 * time.Hour
	renewAt    = serverLife / 3   // what is left when a new one is made
	backdate   = 24 * time.Hour   // for devices whose clock is behind
	retryAfter = 10 * time.Minute // between attempts to renew that failed
	rsaBits    = 3072             // NIST SP 800-57: 128 bits of security
	caFile     = "ca.pem"         // what clients trust
	caKeyFile  = "ca-key.pem"     // 0600
	serverFile = "server.pem"
	serverKey  = "server-key.pem" // 0600
)

// Options configure an Authority. Dir is required.
type Options struct {
	Dir   string   // DATA/tls, made if it is not there
	Names []string // host names and IP addresses of the server certificate
	RSA   bool     // an RSA server key instead of ECDSA P-256
	Now   func() time.Time
	// Warn is told when a renewal fails while the old certificate still serves.
	Warn func(error)
}

// An Authority holds the CA and the current server certificate. It is safe for
// concurrent use.
type Authority struct {
	opts  Options
	ca    *x509.Certificate
	caKey crypto.Signer

	mu     sync.Mutex
	server *tls.Certificate
	retry  time.Time
}

// Open reads the CA and the server certificate in opts.Dir and makes what is
// not there. It renews a server certificate that is near its end or lacks one of
// the names.
func Open(opts Options) (*Authority, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Warn == nil {
		opts.Warn = func(error) {}
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("pki: making the folder: %w", err)
	}
	a := &Authority{opts: opts}
	if err := a.openCA(); err != nil {
		return nil, err
	}
	if err := a.openServer(); err != nil {
		return nil, err
	}
	return a, nil
}

// CAFile is the path of the CA certificate that clients must trust.
func (a *Authority) CAFile() string { return filepath.Join(a.opts.Dir, caFile) }

// Server returns the server certificate in use.
func (a *Authority) Server() *x509.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.server.Leaf
}

// TLS returns the configuration of a listener for devices: TLS 1.2 (the Python
// SDK knows nothing later) and 1.3, forward secrecy and AEAD only, session
// tickets, and a client certificate taken where the client has one: X.509
// devices are checked by the hub against the registry, not against a CA.
func (a *Authority) TLS(protocols ...string) *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.current(), nil },
		MinVersion:     tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are fixed
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		ClientAuth: tls.RequestClientCert,
		NextProtos: protocols,
	}
}

// current returns the server certificate, renewed if it is near its end. A
// renewal that fails keeps the old one and is tried again later.
func (a *Authority) current() *tls.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opts.Now()
	if a.server.Leaf.NotAfter.Sub(now) > renewAt || now.Before(a.retry) {
		return a.server
	}
	if err := a.makeServer(); err != nil {
		a.retry = now.Add(retryAfter)
		a.opts.Warn(err)
	}
	return a.server
}

func (a *Authority) openCA() error {
	cert, key := a.CAFile(), filepath.Join(a.opts.Dir, caKeyFile)
	there, err := exist(cert, key)
	if err != nil {
		return err
	}
	if !there {
		return a.makeCA(cert, key)
	}
	pair, err := readPair(cert, key)
	if err != nil {
		return err
	}
	a.ca, a.caKey = pair.Leaf, pair.PrivateKey.(crypto.Signer)
	switch {
	case !a.ca.IsCA:
		return damaged(cert, "it is not the certificate of an authority")
	case a.opts.Now().After(a.ca.NotAfter):
		return damaged(cert, "it ended on "+a.ca.NotAfter.Format(time.DateOnly))
	}
	return nil
}

func (a *Authority) makeCA(certFile, keyFile string) error {
	key, err := a.keyForCA(keyFile)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	now := a.opts.Now()
	ca := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: caName(key), Organization: []string{"Weir"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return fmt.Errorf("pki: signing the CA: %w", err)
	}
	if a.ca, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("pki: reading the new CA back: %w", err)
	}
	a.caKey = key
	return writePair(certFile, keyFile, key, der)
}

// keyForCA returns the key in file, else a new one. A CA certificate that was
// lost is made again with the same key and name: who trusted the old one trusts
// the new one.
func (a *Authority) keyForCA(file string) (crypto.Signer, error) {
	text, err := read(file)
	if err == nil {
		return parseKey(file, text)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: making the CA's key: %w", err)
	}
	return key, nil
}

// caName tells the authorities of several nodes apart in a list of certificates.
func caName(key crypto.Signer) string {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic("pki: a key that we made or parsed cannot be encoded: " + err.Error())
	}
	return fmt.Sprintf("Weir local CA %x", sha256.Sum256(der))[:len("Weir local CA ")+8]
}

func (a *Authority) openServer() error {
	cert, key := filepath.Join(a.opts.Dir, serverFile), filepath.Join(a.opts.Dir, serverKey)
	there, err := exist(cert, key)
	if err != nil {
		return err
	}
	if !there {
		return a.makeServer()
	}
	pair, err := readPair(cert, key)
	if err != nil {
		return err
	}
	if a.serves(pair) {
		a.server = pair
		return nil
	}
	return a.makeServer()
}

// serves says whether pair is ours, long-lived enough, of the kind of key that
// is asked for, and has all names.
func (a *Authority) serves(pair *tls.Certificate) bool {
	now, leaf := a.opts.Now(), pair.Leaf
	_, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	if leaf.CheckSignatureFrom(a.ca) != nil || isRSA != a.opts.RSA || leaf.NotAfter.Sub(now) <= renewAt || now.Before(leaf.NotBefore) {
		return false
	}
	names, ips := split(a.opts.Names)
	return slices.Equal(leaf.DNSNames, names) && slices.EqualFunc(leaf.IPAddresses, ips, net.IP.Equal)
}

// makeServer makes a new key and certificate, on disk and in a.server.
func (a *Authority) makeServer() error {
	key, err := a.newKey()
	if err != nil {
		return fmt.Errorf("pki: making the server's key: %w", err)
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	now := a.opts.Now()
	names, ips := split(a.opts.Names)
	leaf := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "weir", Organization: []string{"Weir"}},
		NotBefore:    now.Add(-backdate),
		NotAfter:     earlier(now.Add(serverLife), a.ca.NotAfter),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     names,
		IPAddresses:  ips,
	}
	if a.opts.RSA {
		leaf.KeyUsage |= x509.KeyUsageKeyEncipherment // some old stacks demand it
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.ca, key.Public(), a.caKey)
	if err != nil {
		return fmt.Errorf("pki: signing the server certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("pki: reading the new server certificate back: %w", err)
	}
	cert, keyFile := filepath.Join(a.opts.Dir, serverFile), filepath.Join(a.opts.Dir, serverKey)
	if err := writePair(cert, keyFile, key, der); err != nil {
		return err
	}
	a.server = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}
	return nil
}

func (a *Authority) newKey() (crypto.Signer, error) {
	if a.opts.RSA {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// split sorts names into host names and IP addresses, each once, in order.
func split(all []string) (names []string, ips []net.IP) {
	for _, n := range all {
		if ip := net.ParseIP(n); ip != nil {
			if !slices.ContainsFunc(ips, ip.Equal) {
				ips = append(ips, ip)
			}
		} else if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names, ips
}

// serialNumber is random: 128 bits, as RFC 5280 section 4.1.2.2 allows.
func serialNumber() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("pki: making a serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1<<62)), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
