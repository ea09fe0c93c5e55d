package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-iot/weir/internal/fleet"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/internal/sas"
)

const (
	keepAlive      = 1177 // seconds: IoT Hub's maximum, so that no ping disturbs
	tokenLife      = 24 * time.Hour
	connectTimeout = 30 * time.Second
	connecting     = 64 // attempts at the same time
)

// A login is who a connection is.
type login struct {
	id       string
	username string // "" and no password: anonymous
	password string
}

// A dialer opens connections that the server has accepted.
type dialer struct {
	addr   string
	tls    *tls.Config // nil: plain TCP
	logins []login     // empty: anonymous
}

func newDialer(s *settings) (*dialer, error) {
	d := &dialer{addr: s.addr}
	if s.tls {
		roots, err := authorities(s.ca)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(s.addr)
		if err != nil {
			return nil, fmt.Errorf("-addr: %w", err)
		}
		d.tls = &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
	}
	if s.devices == "" {
		return d, nil
	}
	var err error
	if d.logins, err = readLogins(s.devices); err != nil {
		return nil, err
	}
	if len(d.logins) < s.conns && s.mode != "halfopen" {
		return nil, fmt.Errorf("%s has %d devices, -conns asks for %d", s.devices, len(d.logins), s.conns)
	}
	return d, nil
}

func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("-ca: %s holds no PEM certificate", file)
	}
	return pool, nil
}

func readLogins(file string) ([]login, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("-devices-file: %w", err)
	}
	defer f.Close()
	var all []login
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line struct {
			ConnectionString string `json:"connectionString"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, len(all)+1, err)
		}
		l, err := newLogin(line.ConnectionString)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, len(all)+1, err)
		}
		all = append(all, l)
	}
	return all, lines.Err()
}

func newLogin(connectionString string) (login, error) {
	cs, err := sas.ParseConnectionString(connectionString)
	if err != nil {
		return login{}, err
	}
	host, _, _ := strings.Cut(cs.HostName, ":")
	token, err := sas.Sign(host+"/devices/"+cs.DeviceID, cs.SharedAccessKey, "", time.Now().Add(tokenLife))
	if err != nil {
		return login{}, err
	}
	return login{cs.DeviceID, host + "/" + cs.DeviceID + "/?api-version=2021-04-12&DeviceClientType=mqttload", token}, nil
}

func (d *dialer) login(i int) login {
	if len(d.logins) == 0 {
		return login{id: fmt.Sprintf("load-%05d", i)}
	}
	return d.logins[i]
}

// open connects, TLS included, without an MQTT packet.
func (d *dialer) open(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.addr)
	if err != nil || d.tls == nil {
		return conn, err
	}
	secure := tls.Client(conn, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// connect opens connection number i and has the server accept it.
func (d *dialer) connect(ctx context.Context, i int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	l := d.login(i)
	_ = conn.SetDeadline(time.Now().Add(connectTimeout))
	_, err = conn.Write(mqtt311.AppendConnect(nil, &mqtt311.Connect{
		ClientID: l.id, CleanSession: true, KeepAlive: keepAlive,
		Username: l.username, HasUsername: l.username != "",
		Password: []byte(l.password), HasPassword: l.password != "",
	}))
	var answer [4]byte
	if err == nil {
		_, err = io.ReadFull(conn, answer[:])
	}
	if err == nil && (answer[0] != byte(mqtt311.CONNACK)<<4 || answer[3] != byte(mqtt311.Accepted)) {
		err = fmt.Errorf("connection %s refused: %v", l.id, mqtt311.ConnectCode(answer[3]))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// all opens n connections with open, some at a time, and returns those that succeeded.
func all(n int, open func(i int) (net.Conn, error)) ([]net.Conn, error) {
	conns := make([]net.Conn, n)
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(connecting, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				conns[i], errs[i] = open(i)
			}
		})
	}
	wg.Wait()
	return conns, errors.Join(errs...)
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// register makes the devices and prints one JSON object a line.
func register(ctx context.Context, s *settings, w io.Writer) error {
	service, err := sas.ParseConnectionString(s.service)
	if err != nil {
		return fmt.Errorf("-service: %w", err)
	}
	roots, err := authorities(s.ca)
	if err != nil {
		return err
	}
	r := fleet.Registry{
		Base: "https://" + s.https, Service: service, Host: s.host,
		HTTP: &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}
	ids := make([]string, s.conns)
	for i := range ids {
		ids[i] = fmt.Sprintf("load-%05d", i)
	}
	made, err := r.Register(ctx, ids)
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	for i := range made {
		if err := out.Encode(map[string]string{"deviceId": ids[i], "connectionString": made[i]}); err != nil {
			return err
		}
	}
	return nil
}
