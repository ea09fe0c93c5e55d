package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of what Validate accepts.
const (
	MaxPartitions = 128
	MinSegment    = 1 << 20
	MaxSegment    = 1 << 30
	MinToken      = 16
	MinInFlight   = 1 << 20
)

// engines names the schemes that exist for each URL of the design's one place
// to swap, and those that are planned.
var engines = map[string]struct{ exist, planned []string }{
	"log":      {[]string{"file", "mem"}, []string{"kafka", "eventhubs"}},
	"registry": {[]string{"file", "mem"}, []string{"postgres", "iothub"}},
	"store":    {[]string{"file", "mem"}, []string{"postgres", "cosmos"}},
}

// Validate returns the first thing that is wrong, as an *Error.
func (f *File) Validate() error {
	for _, check := range []func() error{f.checkRoles, f.checkHub, f.checkListeners, f.checkAPI, f.checkTLS, f.checkLog, f.checkStore, f.checkLimits,
		f.checkLogs, f.checkInputs, f.checkOutputs, f.checkJobs} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// wrong is an Error at key's place, or at the nearest key above it.
func (f *File) wrong(key, format string, args ...any) error {
	e := &Error{File: f.name, Key: key, Message: fmt.Sprintf(format, args...)}
	for at := key; at != ""; at = above(at) {
		if p, ok := f.places[at]; ok {
			e.Line, e.Column = p.line, p.column
			break
		}
	}
	return e
}

func above(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

func (f *File) checkRoles() error {
	for i, r := range f.Roles {
		if !slices.Contains(roles, r) {
			hint := ""
			if near := nearest(r, roles); near != "" {
				hint = fmt.Sprintf(": did you mean %s?", near)
			}
			return f.wrong(fmt.Sprintf("roles[%d]", i), "there is no role %q; what exists is %s%s", r, strings.Join(roles, ", "), hint)
		}
	}
	if !f.Does(RoleHub) {
		return f.wrong("roles", "hub is missing: a node without it needs a log that several nodes share, which is planned")
	}
	return nil
}

func (f *File) checkHub() error {
	if f.Data == "" {
		return f.wrong("data", "is empty: name a folder, or remove the key for ./data")
	}
	if err := CheckName(f.Hub.HostName); err != nil {
		return f.wrong("hub.hostName", "%s", err)
	}
	return nil
}

func (f *File) checkListeners() error {
	addresses := []struct{ key, value string }{
		{"mqtt.listen", f.MQTT.Listen}, {"mqtt.plain", f.MQTT.Plain}, {"https.listen", f.HTTPS.Listen},
		{"https.standard", f.HTTPS.Standard}, {"api.listen", f.API.Listen},
	}
	taken := map[string]string{}
	for _, a := range addresses {
		if a.value == "" && (a.key == "mqtt.plain" || a.key == "https.standard") {
			continue
		}
		_, port, err := splitAddress(a.value)
		if err != nil {
			return f.wrong(a.key, "%s", err)
		}
		if other, ok := taken[a.value]; ok && port != 0 {
			if !f.Has(a.key) { // blame what the user wrote
				a.key, other = other, a.key
			}
			return f.wrong(a.key, "is %s, as %s is: give it another port", a.value, other)
		}
		taken[a.value] = a.key
	}
	if f.MQTT.Plain != "" && !Loopback(f.MQTT.Plain) {
		return f.wrong("mqtt.plain", "%s is not a loopback address: without TLS, tokens and data could be read on the way; use 127.0.0.1:1883, or mqtt.listen for other machines", f.MQTT.Plain)
	}
	return nil
}

func (f *File) checkAPI() error {
	if f.API.Token == "" && !Loopback(f.API.Listen) {
		return f.wrong("api.listen", "%s is not a loopback address and api.token is empty: set a token, or listen on 127.0.0.1:8080", f.API.Listen)
	}
	if f.API.Token != "" && len(f.API.Token) < MinToken {
		return f.wrong("api.token", "is shorter than %d characters: make one with: openssl rand -hex 24", MinToken)
	}
	return nil
}

func (f *File) checkTLS() error {
	if err := f.oneOf("tls.key", f.TLS.Key, "ecdsa", "rsa"); err != nil {
		return err
	}
	for i, name := range f.TLS.Names {
		if err := CheckName(name); err != nil {
			return f.wrong("tls.names["+strconv.Itoa(i)+"]", "%s", err)
		}
	}
	return nil
}

func (f *File) checkLog() error { return f.checkLogAt("log", &f.Log) }

func (f *File) checkLogAt(key string, l *Log) error {
	if err := f.engine("log", key, l.URL); err != nil {
		return err
	}
	if err := f.oneOf(key+".level", l.Level, "sync", "interval", "memory"); err != nil {
		return err
	}
	if n := l.Partitions; n < 1 || n > MaxPartitions {
		return f.wrong(key+".partitions", "%d is not in 1 to %d", n, MaxPartitions)
	}
	if s := l.Segment; s < MinSegment || s > MaxSegment {
		return f.wrong(key+".segment", "%s is not in %s to %s", s, Size(MinSegment), Size(MaxSegment))
	}
	if i := l.Interval; l.Level == "interval" && (i < 10*time.Millisecond || i > time.Minute) {
		return f.wrong(key+".interval", "%s is not in 10ms to 1m", i)
	}
	if s := l.Retention.Size; s != 0 && s < 4*l.Segment {
		return f.wrong(key+".retention.size", "%s is less than four segments of %s: raise it, or lower %s.segment", s, l.Segment, key)
	}
	return nil
}

func (f *File) checkStore() error {
	if err := f.engine("registry", "registry", f.Registry); err != nil {
		return err
	}
	if err := f.engine("store", "store", f.Store.URL); err != nil {
		return err
	}
	log, _, _ := SplitURL(f.Log.URL)
	if store, _, _ := SplitURL(f.Store.URL); log == "mem" && store != "mem" {
		return f.wrong("log", "a log in memory before a store in files: the store would take new messages for old ones after a restart: set store: mem too")
	}
	if f.Store.TTL < time.Minute {
		return f.wrong("store.ttl", "%s is less than 1m", f.Store.TTL)
	}
	if f.Store.Flush < 100*time.Millisecond {
		return f.wrong("store.flush", "%s is less than 100ms", f.Store.Flush)
	}
	if f.Store.Cache < MinInFlight {
		return f.wrong("store.cache", "%s is less than 1MB", f.Store.Cache)
	}
	return nil
}

func (f *File) checkLimits() error {
	if f.Limits.Connections < 1 {
		return f.wrong("limits.connections", "%d is less than 1", f.Limits.Connections)
	}
	if f.Limits.InFlight < MinInFlight {
		return f.wrong("limits.inFlight", "%s is less than 1MB", f.Limits.InFlight)
	}
	return nil
}

func (f *File) oneOf(key, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return f.wrong(key, "%q is not known: what exists is %s", value, strings.Join(choices, ", "))
}

// engine checks a URL of the one place to swap: that of a stage, at key.
func (f *File) engine(stage, key, url string) error {
	if url == "" {
		return nil
	}
	e := engines[stage]
	if f.Has(key + ".url") {
		key += ".url"
	}
	scheme, path, ok := SplitURL(url)
	switch {
	case !ok && url == "mem":
		return nil
	case !ok:
		return f.wrong(key, "%q has no scheme: write file:%s", url, url)
	case slices.Contains(e.planned, scheme):
		return f.wrong(key, "%s: is planned and not there yet: what exists is %s", scheme, schemes(e.exist))
	case !slices.Contains(e.exist, scheme):
		return f.wrong(key, "%s: is not known: what exists is %s", scheme, schemes(e.exist))
	case scheme == "file" && path == "":
		return f.wrong(key, "file: names no folder: write file:data/NAME")
	case scheme == "mem" && path != "":
		return f.wrong(key, "mem: takes nothing behind it")
	}
	return nil
}

func schemes(names []string) string { return strings.Join(names, ":, ") + ":" }

// SplitURL splits "file:data/log" into its scheme and the rest; ok says
// whether there was a scheme. A lone "mem" is the scheme mem.
func SplitURL(url string) (scheme, rest string, ok bool) { return strings.Cut(url, ":") }

// Loopback says whether a listener at address is reached from this machine only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func splitAddress(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not an address: write HOST:PORT, or :PORT for all of this machine's addresses", address)
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q is not a port: it is a number up to 65535", p)
	}
	return host, port, nil
}

// CheckName says whether name can stand in a certificate: a host name or an IP
// address, without a port.
func CheckName(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	if name == "" || len(name) > 253 {
		return fmt.Errorf("%q is not a host name", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return fmt.Errorf("%q is not a host name: letters, digits, hyphens, underscores and dots only, and no port", name)
		}
	}
	return nil
}

func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := lower(s[i]); (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
