package device

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/weir-iot/weir/internal/mqtt311"
)

const (
	mqttPort      = "8883"
	webSocketPort = "443"
	webSocketPath = "/$iothub/websocket"

	// connectTimeout bounds one attempt: TCP, TLS, CONNECT and CONNACK.
	connectTimeout = 30 * time.Second
)

// dial opens a connection and has the hub accept the device on it.
func (c *Client) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := c.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("device: connecting: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	s, err := c.handshake(conn)
	if !stop() || err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("device: waiting for the hub's answer to CONNECT: %w", ctx.Err())
		}
		return nil, err
	}
	return s, nil
}

func (c *Client) open(ctx context.Context) (net.Conn, error) {
	if c.opts.WebSocket {
		return c.openWebSocket(ctx)
	}
	host, address := c.cred.address(mqttPort)
	conn, err := c.opts.Dial(ctx, "tcp", address)
	if err != nil || c.opts.plain {
		return conn, err
	}
	secure := tls.Client(conn, c.tlsConfig(host))
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, hint(err)
	}
	return secure, nil
}

func (c *Client) tlsConfig(host string) *tls.Config {
	config := &tls.Config{
		ServerName:                  host,
		RootCAs:                     c.opts.RootCAs,
		MinVersion:                  tls.VersionTLS12,
		DynamicRecordSizingDisabled: true, // a window of messages goes into few records from the start
	}
	if c.opts.Certificate != nil {
		config.Certificates = []tls.Certificate{*c.opts.Certificate}
	}
	return config
}

func (c *Client) openWebSocket(ctx context.Context) (net.Conn, error) {
	host, address := c.cred.address(webSocketPort)
	scheme := "wss://"
	if c.opts.plain {
		scheme = "ws://"
	}
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		DialContext:     c.opts.Dial,
		TLSClientConfig: c.tlsConfig(host),
	}
	ws, _, err := websocket.Dial(ctx, scheme+address+webSocketPath, &websocket.DialOptions{
		HTTPClient:      &http.Client{Transport: transport},
		Subprotocols:    []string{"mqtt"},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		transport.CloseIdleConnections() // a refusal leaves its connection behind
		return nil, hint(err)
	}
	ws.SetReadLimit(-1) // frames bounds packets; a frame of WebSocket may hold many
	return websocket.NetConn(c.ctx, ws, websocket.MessageBinary), nil
}

// hint adds the remedy to the failure that everybody meets first.
func hint(err error) error {
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		return fmt.Errorf("%w: for a hub with an authority of its own set SSL_CERT_FILE to its ca.pem, or Options.RootCAs", err)
	}
	return err
}

// handshake sends CONNECT and reads CONNACK (MQTT 3.1.1, sections 3.1 and 3.2).
func (c *Client) handshake(conn net.Conn) (*session, error) {
	token, renew, err := c.cred.token(&c.opts)
	if err != nil {
		return nil, err
	}
	packet := mqtt311.AppendConnect(nil, &mqtt311.Connect{
		ClientID:    c.cred.clientID(),
		KeepAlive:   uint16(c.opts.KeepAlive / time.Second),
		Username:    c.cred.username(&c.opts),
		HasUsername: true,
		Password:    []byte(token),
		HasPassword: token != "",
	})
	if _, err := conn.Write(packet); err != nil {
		return nil, fmt.Errorf("device: sending CONNECT: %w", err)
	}
	s := newSession(conn, renew)
	h, body, err := s.frames.next()
	if err != nil {
		return nil, fmt.Errorf("device: waiting for the hub's answer to CONNECT: %w", err)
	}
	if h.Type != mqtt311.CONNACK {
		return nil, fmt.Errorf("device: the hub answered CONNECT with %v", h.Type)
	}
	ack, err := mqtt311.ParseConnack(body)
	if err != nil {
		return nil, fmt.Errorf("device: reading CONNACK: %w", err)
	}
	switch ack.Code {
	case mqtt311.Accepted:
		return s, nil
	case mqtt311.RefusedCredentials, mqtt311.RefusedAuthorized:
		return nil, ErrUnauthorized
	case mqtt311.RefusedUnavailable:
		return nil, errors.New("device: the hub is not available for now")
	default:
		return nil, fmt.Errorf("%w: %v", ErrRefused, ack.Code)
	}
}

// isRefusal tells errors that another attempt will hardly change.
func isRefusal(err error) bool {
	if errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrRefused) {
		return true
	}
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}
