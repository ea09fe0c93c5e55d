// Package config is the one file that a user writes, as plain values. The
// comments of the fields are its manual (docs/reference/config.md is made of
// them), Default is the only place with defaults, and Load refuses what it does
// not know, with line, column and remedy. It promises that a Config it returned
// is complete and valid; it leaves out opening anything: that is node's.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

//go:generate go test -run TestReference -update .

// A Config is the whole configuration of one node. Every key may be left out.
// Durations are written as 90s, 15m or 168h; sizes as 512KB, 64MB or 10GB
// (powers of 1024). Relative paths are relative to the folder of the file.
type Config struct {
	// The folder that everything Weir writes lives under: log, registry, store,
	// certificates and keys. Default: the folder data where weir was started.
	// The flag --data wins over it.
	Data string `yaml:"data"`

	// What this node does: hub takes in what devices send, stream runs the jobs,
	// that which fills the hot store among them, api serves what is read.
	// Without stream the log keeps what its retention allows, and a later start
	// with stream catches up. hub must be among them.
	Roles []string `yaml:"roles"`

	// The hub: what devices and services talk to.
	Hub Hub `yaml:"hub"`

	// The MQTT door for devices.
	MQTT MQTT `yaml:"mqtt"`

	// The HTTPS door: devices over HTTPS, MQTT over WebSocket, and the service REST API.
	HTTPS HTTPS `yaml:"https"`

	// The API and the dashboard, for people and programs that read.
	API API `yaml:"api"`

	// The certificate that devices see.
	TLS TLS `yaml:"tls"`

	// The log between what comes in and everything that reads it. Either a URL
	// alone (log: file:data/log) or the keys below.
	Log Log `yaml:"log"`

	// Where the device registry lives: file:PATH (the default is the folder
	// registry in the data folder), or mem which forgets at a stop.
	Registry string `yaml:"registry"`

	// The hot store of recent documents. Either a URL alone (store:
	// file:data/store) or the keys below.
	Store Store `yaml:"store"`

	// Bounds of what the node takes in. What is over a bound waits or is
	// refused, and is counted; it is never dropped in silence.
	Limits Limits `yaml:"limits"`

	// More logs, by name: what the output log writes and other jobs read.
	// telemetry is not among them, it is the key log.
	Logs map[string]Log `yaml:"logs"`

	// What queries read, by the alias that they call it. IoTHubInput is always
	// there, as log: telemetry, unless it is given another meaning here. Case
	// does not tell aliases apart.
	Inputs map[string]Input `yaml:"inputs"`

	// Where queries write, by the alias that they call it. AlertOutput (alerts)
	// and hot (store) are always there unless given another meaning here.
	Outputs map[string]Output `yaml:"outputs"`

	// The Stream Analytics jobs that run from the start, by name. hot is always
	// there: it brings every message to the output hot.
	Jobs map[string]Job `yaml:"jobs"`

	// The folder of JavaScript functions: NAME.js has the function that queries
	// call udf.NAME. Empty: the folder functions beside this file, or in the
	// data folder where there is no file.
	Functions string `yaml:"functions"`
}

// Hub is what the hub calls itself.
type Hub struct {
	// The host name in connection strings, twins and the certificate. Use a name
	// that devices can resolve. The Java and C SDKs demand a name with a dot:
	// 127.0.0.1 or hub.localhost do for trying.
	HostName string `yaml:"hostName"`
}

// MQTT is where devices connect with MQTT 3.1.1.
type MQTT struct {
	// The address of MQTT over TLS. The device SDKs know the port 8883 only.
	Listen string `yaml:"listen"`

	// An address for MQTT without TLS, for tests and benchmarks: off where empty,
	// and refused on any address but loopback. Example: 127.0.0.1:1883.
	Plain string `yaml:"plain"`
}

// HTTPS is where devices and services connect with HTTPS and WebSocket.
type HTTPS struct {
	// The address that is always served.
	Listen string `yaml:"listen"`

	// A second address, tried at start: the Node service SDK and MQTT over
	// WebSocket know the port 443 only. Where it cannot be bound, weir says how
	// to allow it and goes on without. Empty: not tried. The flag --https turns
	// it off, unless this key is written.
	Standard string `yaml:"standard"`
}

// API is where people and programs read.
type API struct {
	// The address of the API and the dashboard, without TLS: anything but
	// loopback needs a token and, over a network, a proxy with TLS before it.
	Listen string `yaml:"listen"`

	// The token that callers show as "Authorization: Bearer TOKEN", at least 16
	// characters. Needed where listen is not loopback.
	Token string `yaml:"token"`
}

// TLS is the certificate that Weir makes for itself. The CA lives at
// DATA/tls/ca.pem for ten years, the server certificate for 90 days, renewed
// by itself.
type TLS struct {
	// The kind of key: ecdsa (P-256), or rsa (3072 bits) for stacks that know
	// nothing else. A change makes a new server certificate; the CA keeps its key.
	Key string `yaml:"key"`

	// Names and IP addresses in the certificate beside localhost, hub.localhost,
	// 127.0.0.1, ::1, the name of the machine and hub.hostName.
	Names []string `yaml:"names"`
}

// Log is the durable, partitioned log.
type Log struct {
	// file:PATH (the default is the folder log in the data folder, logs/NAME for
	// one of logs), or mem which forgets at a stop.
	URL string `yaml:"url" alone:"true"`

	// The number of partitions, 1 to 128: how many consumers can share the
	// work. It is fixed when the log is first made.
	Partitions int `yaml:"partitions"`

	// When a message is acknowledged: sync (after it is safe on the disk; nothing
	// acknowledged is ever lost), interval (the disk is synced once per interval:
	// a power cut loses up to that much of what was acknowledged; for flash that
	// wears out), memory (never synced: for tests). With interval and memory a
	// power cut may leave the hot store ahead of the log; weir then does not
	// start before the store's folder is moved away, and fills it from the log.
	Level string `yaml:"level"`

	// The time between syncs at level interval.
	Interval time.Duration `yaml:"interval"`

	// What is kept for replays. What the hot store has not yet read stays in any case.
	Retention Retention `yaml:"retention"`

	// The size of a file of the log: 1MB to 1GB. Retention removes whole files.
	Segment Size `yaml:"segment"`
}

// Retention says when old records are removed: by the first bound they pass.
type Retention struct {
	// Records older than this are removed. 0: no bound.
	Age time.Duration `yaml:"age"`

	// The oldest records are removed where the log is larger than this. 0: no
	// bound. Where the hot store lags so far that nothing can be removed, the
	// hub withholds acknowledgements and says so.
	Size Size `yaml:"size"`
}

// Store is the hot path: recent documents by device and time.
type Store struct {
	// file:PATH (the default is the folder store in the data folder), or mem
	// which forgets at a stop and reads the log again.
	URL string `yaml:"url" alone:"true"`

	// How long a document lives, counted from when its message came in.
	TTL time.Duration `yaml:"ttl"`

	// How often the store is made durable. The log keeps what came since, and a
	// start after a crash reads it again.
	Flush time.Duration `yaml:"flush"`

	// The memory of the store's block cache.
	Cache Size `yaml:"cache"`
}

// Limits bound what the node takes in.
type Limits struct {
	// Open connections of devices, all together.
	Connections int `yaml:"connections"`

	// Bytes of messages that wait for the disk, of all devices together. Beyond
	// it, the hub stops reading from devices until the disk catches up.
	InFlight Size `yaml:"inFlight"`
}

// The roles of a node, in the order of the picture.
const (
	RoleHub    = "hub"
	RoleStream = "stream"
	RoleAPI    = "api"
)

var roles = []string{RoleHub, RoleStream, RoleAPI}

// Does tells whether the node has a role.
func (c *Config) Does(role string) bool { return slices.Contains(c.Roles, role) }

// Default returns the configuration of an empty file.
func Default() *Config {
	return &Config{
		Data:    "data",
		Roles:   slices.Clone(roles),
		Hub:     Hub{HostName: "localhost"},
		MQTT:    MQTT{Listen: ":8883"},
		HTTPS:   HTTPS{Listen: ":8443", Standard: ":443"},
		API:     API{Listen: "127.0.0.1:8080"},
		TLS:     TLS{Key: "ecdsa"},
		Log:     defaultLog(),
		Store:   Store{TTL: 7 * 24 * time.Hour, Flush: 30 * time.Second, Cache: 8 << 20},
		Limits:  Limits{Connections: 100_000, InFlight: 64 << 20},
		Logs:    map[string]Log{},
		Inputs:  map[string]Input{"IoTHubInput": {Log: Telemetry}},
		Outputs: defaultOutputs(),
		Jobs:    defaultJobs(),
	}
}

func defaultLog() Log {
	return Log{
		Partitions: 4,
		Level:      "sync",
		Interval:   time.Second,
		Retention:  Retention{Age: 7 * 24 * time.Hour, Size: 10 << 30},
		Segment:    64 << 20,
	}
}

func (l *Log) setDefaults() { *l = defaultLog() }

// A File is a Config with the places of its keys.
type File struct {
	*Config
	name   string // as the user named it
	dir    string // that its relative paths start at; "" without a file
	places map[string]place
}

// Load reads the file at path, over Default. Relative paths in it become
// relative to its folder.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: reading the file: %w: check -c/--config", err)
	}
	f, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	if f.Functions == "" {
		f.Functions = "functions"
	}
	f.resolve(filepath.Dir(path))
	return f, nil
}

// Empty returns Default as if it had been read from an empty file.
func Empty() *File { return &File{Config: Default()} }

// Has says whether the file names key, such as "https.standard".
func (f *File) Has(key string) bool {
	_, ok := f.places[key]
	return ok
}

// Folder is where a solution keeps its queries: that of the file, or the data
// folder where there is no file.
func (f *File) Folder() string {
	if f.dir != "" {
		return f.dir
	}
	return f.Data
}

// resolve makes the relative paths of the file relative to dir.
func (f *File) resolve(dir string) {
	f.dir = dir
	if f.Has("data") {
		f.Data = under(dir, f.Data)
	}
	f.Log.URL, f.Registry, f.Store.URL = urlUnder(dir, f.Log.URL), urlUnder(dir, f.Registry), urlUnder(dir, f.Store.URL)
	for name, l := range f.Logs {
		l.URL = urlUnder(dir, l.URL)
		f.Logs[name] = l
	}
	for _, in := range f.Inputs {
		if in.Reference != nil {
			in.Reference.File = under(dir, in.Reference.File)
		}
	}
	for _, out := range f.Outputs {
		if out.File != nil {
			out.File.Path = under(dir, out.File.Path)
		}
	}
	for name, j := range f.Jobs {
		j.Query = under(dir, j.Query)
		f.Jobs[name] = j
	}
	f.Functions = under(dir, f.Functions)
}

// under is path as seen from dir; "" stays.
func under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func urlUnder(dir, url string) string {
	if scheme, path, _ := SplitURL(url); scheme == "file" {
		return "file:" + filepath.ToSlash(under(dir, path))
	}
	return url
}
