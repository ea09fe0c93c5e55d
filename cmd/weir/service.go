package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/node"
)

const (
	apiVersion  = "2021-04-12"
	tokenLife   = time.Hour
	maxResponse = 64 << 20 // bytes of an answer
)

// A service is a client of a hub's service REST API: of the running node, or of
// the hub of a connection string.
type service struct {
	base  string // https://host:port
	cs    sas.ConnectionString
	http  *http.Client
	roots *x509.CertPool
	state *node.State // nil with a connection string
}

// service returns a client of the hub that the flags name, with the rights of
// the policy iothubowner where it is the running node's.
func (g *globals) service() (*service, error) {
	dir, err := g.dataDir()
	if err != nil {
		return nil, err
	}
	roots, err := trust(dir)
	if err != nil {
		return nil, err
	}
	s := &service{roots: roots, http: &http.Client{
		Timeout: 6 * time.Minute, // a direct method may take 300 s
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
			Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second,
		},
	}}
	if text := g.serviceConnection(); text != "" {
		return s, s.remote(text)
	}
	return s, s.local(dir)
}

// serviceConnection is the connection string that the user gave, or "".
func (g *globals) serviceConnection() string {
	if g.connection != "" {
		return g.connection
	}
	return os.Getenv(connectionEnv)
}

func (s *service) remote(text string) (err error) {
	if s.cs, err = sas.ParseConnectionString(text); err != nil {
		return fmt.Errorf("--connection-string: %w", err)
	}
	if s.cs.SharedAccessKeyName == "" || s.cs.DeviceID != "" {
		return errors.New("--connection-string: it is not one of a service: it needs SharedAccessKeyName (weir connection-string prints one)")
	}
	host := s.cs.HostName
	if s.cs.GatewayHostName != "" {
		host = s.cs.GatewayHostName
	}
	s.base = "https://" + host
	return nil
}

func (s *service) local(dir string) (err error) {
	if s.state, err = node.ReadState(dir); err != nil {
		return err
	}
	if s.cs, err = policyConnection(dir, s.state.ServiceHost(), "iothubowner"); err != nil {
		return err
	}
	s.base = "https://" + s.state.HTTPS[0]
	return nil
}

// trust returns the system's authorities and that of the data folder, if it has one.
func trust(dir string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without any: ours alone
	}
	pem, err := os.ReadFile(node.CAFile(dir))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return roots, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	roots.AppendCertsFromPEM(pem)
	return roots, nil
}

// call sends a request and decodes the JSON answer into out (nil: drops it). It
// returns the answer's header. body is nil, or what is sent as JSON.
func (s *service) call(ctx context.Context, method, path string, header http.Header, body, out any) (http.Header, error) {
	request, err := s.request(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, s.unreachable(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil {
		return nil, s.unreachable(err)
	}
	if response.StatusCode >= 300 {
		return response.Header, refusal(response, text)
	}
	if out != nil && len(bytes.TrimSpace(text)) > 0 {
		if err := json.Unmarshal(text, out); err != nil {
			return response.Header, fmt.Errorf("the hub's answer to %s %s is not understood: %w", method, path, err)
		}
	}
	return response.Header, nil
}

func (s *service) request(ctx context.Context, method, path string, header http.Header, body any) (*http.Request, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		reader = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base+path+"?api-version="+apiVersion, reader)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	for k, v := range header {
		request.Header[k] = v
	}
	if reader != nil && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	token := s.cs.SharedAccessSignature
	if token == "" {
		resource, _, _ := strings.Cut(s.cs.HostName, ":")
		if token, err = sas.Sign(url.QueryEscape(resource), s.cs.SharedAccessKey, s.cs.SharedAccessKeyName, time.Now().Add(tokenLife)); err != nil {
			return nil, fmt.Errorf("signing the request: %w", err)
		}
	}
	request.Header.Set("Authorization", token)
	request.Header.Set("User-Agent", "weir/"+version())
	return request, nil
}

// unreachable says what to do about a hub that does not answer.
func (s *service) unreachable(err error) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: the hub's certificate is not trusted: name the data folder that has its tls/ca.pem with --data, or set SSL_CERT_FILE", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: is weir running? start it with: weir dev", err)
	case errors.As(err, new(*net.DNSError)):
		return fmt.Errorf("%w: check HostName in the connection string", err)
	}
	return err
}

// A refused request: the hub's own status, name and text.
type refused struct {
	Status int
	Name   string
	Text   string
}

func (r *refused) Error() string {
	return fmt.Sprintf("the hub answered %d %s: %s", r.Status, r.Name, r.Text)
}

// refusal reads an error answer in either of IoT Hub's envelopes.
func refusal(response *http.Response, text []byte) error {
	r := &refused{Status: response.StatusCode, Name: response.Header.Get("iothub-errorcode"), Text: strings.TrimSpace(string(text))}
	var envelope struct{ Message string } // matches "message" too
	if json.Unmarshal(text, &envelope) == nil && envelope.Message != "" {
		r.Text = envelope.Message
		var inner struct{ Message string }
		if json.Unmarshal([]byte(r.Text), &inner) == nil && inner.Message != "" {
			r.Text = inner.Message
		}
	}
	if rest, ok := strings.CutPrefix(r.Text, "ErrorCode:"+r.Name+";"); ok {
		r.Text = rest
	}
	if r.Name == "" {
		r.Name = http.StatusText(r.Status)
	}
	if len(r.Text) > 500 {
		r.Text = r.Text[:500] + "…"
	}
	return r
}

// devicePath is the path of an identity in the service REST API, under
// "devices" or "twins".
func devicePath(under string, id hub.ID) string {
	p := "/" + under + "/" + url.PathEscape(id.Device)
	if id.Module != "" {
		p += "/modules/" + url.PathEscape(id.Module)
	}
	return p
}

// parseID reads DEVICE or DEVICE/MODULE.
func parseID(s string) (hub.ID, error) {
	device, module, found := strings.Cut(s, "/")
	if device == "" || (found && module == "") || strings.Contains(module, "/") {
		return hub.ID{}, fmt.Errorf("%q is not an id: write DEVICE or DEVICE/MODULE", s)
	}
	return hub.ID{Device: device, Module: module}, nil
}
