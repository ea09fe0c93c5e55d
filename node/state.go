package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The names of what lies in the data folder beside the engines' folders.
const (
	stateFile  = "node.json"
	lockFile   = "lock"
	tlsDir     = "tls"
	policyFile = "policies.json"
)

// ErrNotRunning says that no node runs on a data folder.
var ErrNotRunning = errors.New("no running weir found")

// A State is what DATA/node.json says about a running node, for commands of
// the same machine: addresses are such that this machine can dial them. The
// file is 0600: it holds the API's token.
type State struct {
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	HostName  string    `json:"hostName"`            // as connection strings name it
	MQTT      string    `json:"mqtt"`                // host:port, TLS
	MQTTPlain string    `json:"mqttPlain,omitempty"` // host:port, no TLS
	HTTPS     []string  `json:"https"`               // host:port, the standard port first where it is served
	API       string    `json:"api,omitempty"`       // URL; "" where the node has not the role api
	APIToken  string    `json:"apiToken,omitempty"`
	CA        string    `json:"ca"` // absolute path
}

// CAFile is the path of the CA certificate in the data folder dir.
func CAFile(dir string) string { return filepath.Join(dir, tlsDir, "ca.pem") }

// PolicyFile is the path of the shared access policies in the data folder dir.
func PolicyFile(dir string) string { return filepath.Join(dir, policyFile) }

// ReadState returns the state of the node that runs on the data folder dir,
// ErrNotRunning if there is none. A node that was killed leaves its file
// behind: what counts is the lock.
func ReadState(dir string) (*State, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || (err == nil && !locked(dir)) {
		return nil, fmt.Errorf("node: %w on the data folder %s", ErrNotRunning, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("node: reading the addresses of the running node: %w: run this as the user that runs weir", err)
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("node: %s is damaged (%w): restart weir", filepath.Join(dir, stateFile), err)
	}
	return &s, nil
}

// writeState makes the file appear whole.
func writeState(dir string, s *State) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("node: encoding the addresses: %w", err)
	}
	file := filepath.Join(dir, stateFile)
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("node: writing the addresses: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("node: writing the addresses: %w", err)
	}
	return nil
}

func removeState(dir string) error {
	if err := os.Remove(filepath.Join(dir, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node: removing the addresses: %w", err)
	}
	return nil
}

// DeviceHost is the host name for device connection strings: with a port where
// MQTT is not served at 8883, which some SDKs then cannot reach.
func (s *State) DeviceHost() string { return withPort(s.HostName, s.MQTT, "8883") }

// ServiceHost is the host name for service connection strings.
func (s *State) ServiceHost() string { return withPort(s.HostName, s.HTTPS[0], "443") }

func withPort(host, address, usual string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == usual {
		return host
	}
	return net.JoinHostPort(host, port)
}

// Dial connects to the MQTT listener, whatever host was asked for: the host
// name of the hub need not be known to this machine. The caller verifies the
// certificate against the host name.
func (s *State) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, s.MQTT)
}
