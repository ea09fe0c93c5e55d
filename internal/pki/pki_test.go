package pki

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string, now *time.Time, change ...func(*Options)) *Authority {
	t.Helper()
	o := Options{Dir: dir, Names: []string{"localhost", "127.0.0.1", "::1"}, Now: func() time.Time { return *now }}
	for _, c := range change {
		c(&o)
	}
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// handshake connects to a listener of a as a client that trusts its CA file.
func handshake(t *testing.T, a *Authority, change func(*tls.Config)) (tls.ConnectionState, error) {
	t.Helper()
	pem, err := os.ReadFile(a.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the CA file")
	}
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", Time: a.opts.Now}
	if change != nil {
		change(config)
	}
	client, server := net.Pipe()
	defer client.Close()
	done := make(chan error, 1)
	go func() {
		defer server.Close()
		done <- tls.Server(server, a.TLS()).Handshake()
	}()
	conn := tls.Client(client, config)
	if err := conn.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), <-done
}

func TestHandshakes(t *testing.T) {
	now := start
	a := open(t, t.TempDir(), &now)
	device, err := tls.LoadX509KeyPair(filepath.Join(a.opts.Dir, serverFile), filepath.Join(a.opts.Dir, serverKey))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*tls.Config)
		ok     bool
	}{
		{"default", nil, true},
		{"address", func(c *tls.Config) { c.ServerName = "127.0.0.1" }, true},
		{"IPv6 address", func(c *tls.Config) { c.ServerName = "::1" }, true},
		{"another name", func(c *tls.Config) { c.ServerName = "example.com" }, false},
		{"another CA", func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, false},
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		{"TLS 1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, false},
		{"no AEAD", func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, false},
		{"a client certificate of any CA", func(c *tls.Config) { c.Certificates = []tls.Certificate{device} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := handshake(t, a, c.change); (err == nil) != c.ok {
				t.Errorf("handshake: %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestSecondOpenKeepsEverything(t *testing.T) {
	now, dir := start, t.TempDir()
	a := open(t, dir, &now)
	b := open(t, dir, &now)
	if !a.ca.Equal(b.ca) || !a.Server().Equal(b.Server()) {
		t.Error("a second start made new certificates")
	}
	for _, f := range []string{caKeyFile, serverKey} {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want 0600", f, info.Mode(), err)
		}
	}
	if life := a.Server().NotAfter.Sub(now); life != serverLife {
		t.Errorf("the server certificate lives %s, want %s", life, serverLife)
	}
}

func TestNewServerCertificate(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  time.Duration
		change func(*Options)
		renew  bool
	}{
		{"one day later", 24 * time.Hour, func(*Options) {}, false},
		{"60 days later", 60*24*time.Hour + 1, func(*Options) {}, true},
		{"a new name", 0, func(o *Options) { o.Names = append(o.Names, "iot.example.com") }, true},
		{"a repeated name", 0, func(o *Options) { o.Names = append(o.Names, "localhost") }, false},
		{"a new address", 0, func(o *Options) { o.Names = append(o.Names, "10.0.0.1") }, true},
		{"another kind of key", 0, func(o *Options) { o.RSA = true }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, dir := start, t.TempDir()
			a := open(t, dir, &now)
			now = now.Add(c.after)
			b := open(t, dir, &now, c.change)
			if !a.ca.Equal(b.ca) {
				t.Error("the CA changed")
			}
			if a.Server().Equal(b.Server()) == c.renew {
				t.Errorf("renewed: %v, want %v", !c.renew, c.renew)
			}
			if _, err := handshake(t, b, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRSA(t *testing.T) {
	now := start
	a := open(t, t.TempDir(), &now, func(o *Options) { o.RSA = true })
	state, err := handshake(t, a, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := state.PeerCertificates[0].PublicKey.(*rsa.PublicKey); !ok {
		t.Errorf("the key is %T", state.PeerCertificates[0].PublicKey)
	}
	if _, ok := a.ca.PublicKey.(*ecdsa.PublicKey); !ok {
		t.Errorf("the CA's key is %T", a.ca.PublicKey)
	}
}

func TestRenewalWhileRunning(t *testing.T) {
	now := start
	a := open(t, t.TempDir(), &now)
	old := a.Server()
	now = now.Add(61 * 24 * time.Hour)
	state, err := handshake(t, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if state.PeerCertificates[0].Equal(old) {
		t.Error("the certificate was not renewed")
	}
	if again := open(t, a.opts.Dir, &now); !again.Server().Equal(a.Server()) {
		t.Error("the renewed certificate is not on the disk")
	}
}

func TestFailedRenewalKeepsServing(t *testing.T) {
	now := start
	warnings := 0
	a := open(t, t.TempDir(), &now, func(o *Options) { o.Warn = func(error) { warnings++ } })
	old := a.Server()
	if err := os.RemoveAll(a.opts.Dir); err != nil {
		t.Fatal(err)
	}
	now = now.Add(61 * 24 * time.Hour)
	if a.current(); warnings != 1 || !a.Server().Equal(old) {
		t.Errorf("%d warnings, want 1 and the old certificate", warnings)
	}
	if a.current(); warnings != 1 {
		t.Error("tried again at once")
	}
	now = now.Add(retryAfter)
	if a.current(); warnings != 2 {
		t.Error("not tried again")
	}
}

// TestDamage: whatever happens to a file, the start stops and says which file,
// or makes what can be made anew.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(dir string) error
		want string // in the error; "" for a start
	}{
		{"CA key empty", truncate(caKeyFile), "ca-key.pem: there is no PEM block"},
		{"CA key garbage", replace(caKeyFile, "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"), "ca-key.pem: the key cannot be read"},
		{"CA key missing", remove(caKeyFile), "ca-key.pem: the file is missing"},
		{"CA empty", truncate(caFile), "ca.pem: there is no PEM block"},
		{"CA garbage", replace(caFile, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), "ca.pem: "},
		{"CA is the server", func(dir string) error {
			return errors.Join(copyFile(dir, serverFile, caFile), copyFile(dir, serverKey, caKeyFile))
		}, "ca.pem: it is not the certificate of an authority"},
		{"server key of another", func(dir string) error { return copyFile(dir, caKeyFile, serverKey) }, "server.pem: "},
		{"server key garbage", replace(serverKey, "x"), "server-key.pem: there is no PEM block"},
		{"server key huge", replace(serverKey, strings.Repeat("x", maxFile+1)), "server-key.pem: it is larger"},
		{"CA key is a folder", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, caKeyFile)), os.Mkdir(filepath.Join(dir, caKeyFile), 0o700))
		}, "ca-key.pem: is a directory"},
		{"crash between the two files", remove(serverFile), ""},
		{"crash before the CA was whole", remove(caFile), ""},
		{"everything gone", func(dir string) error { return os.RemoveAll(dir) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			now, dir := start, filepath.Join(t.TempDir(), "tls")
			a := open(t, dir, &now)
			if err := c.do(dir); err != nil {
				t.Fatal(err)
			}
			b, err := Open(a.opts)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := handshake(t, b, nil); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestLostCA: clients that hold the old CA file go on.
func TestLostCA(t *testing.T) {
	now := start
	a := open(t, t.TempDir(), &now)
	if err := os.Remove(a.CAFile()); err != nil {
		t.Fatal(err)
	}
	b := open(t, a.opts.Dir, &now)
	roots := x509.NewCertPool()
	roots.AddCert(a.ca)
	if _, err := handshake(t, b, func(c *tls.Config) { c.RootCAs = roots }); err != nil {
		t.Error(err)
	}
}

func TestExpiredCA(t *testing.T) {
	now := start
	a := open(t, t.TempDir(), &now)
	now = now.Add(caLife + time.Hour)
	if _, err := Open(a.opts); err == nil || !strings.Contains(err.Error(), "ended on") {
		t.Errorf("error %v", err)
	}
}

func truncate(file string) func(string) error { return replace(file, "") }

func replace(file, text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600) }
}

func remove(file string) func(string) error {
	return func(dir string) error { return os.Remove(filepath.Join(dir, file)) }
}

func copyFile(dir, from, to string) error {
	text, err := os.ReadFile(filepath.Join(dir, from))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, to), text, 0o600)
}
