// Command mqttload puts an MQTT 3.1.1 server under load, Weir and Mosquitto
// alike, with the packets of an IoT Hub device, and measures what the server
// takes for it: acknowledged messages per second, latency of the PUBACK, CPU
// per message and memory per connection of the server's process. It does as
// little as it can per message, since it shares the machine with the server.
// It leaves out everything that a client needs to be reliable: see package
// device for that.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// settings are the command line.
type settings struct {
	mode     string
	addr     string
	tls      bool
	ca       string
	devices  string
	conns    int
	inflight int
	each     bool
	rate     float64
	duration time.Duration
	warmup   time.Duration
	size     int
	pid      int
	json     bool
	service  string
	https    string
	host     string
}

const usage = `mqttload -mode MODE [flags]

modes
  flood     every connection keeps -inflight messages in flight, as fast as it goes
  rate      -rate messages per second in all, spread over time; latency from the
            moment when a message was due
  idle      opens -conns connections that say nothing: memory per connection, and
            connects per second of the server's CPU
  halfopen  opens -conns connections that announce a packet of 256 MB before they
            have authenticated: the most memory that the server takes
  register  registers -conns devices at a hub and prints them for -devices-file

flags
`

func main() {
	s, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	result, err := run(ctx, s)
	if result != nil { // a rate that was not reached has a result and an error
		err = errors.Join(err, result.print(os.Stdout, s.json))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mqttload:", err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	var s settings
	var write string
	f := flag.NewFlagSet("mqttload", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, usage); f.PrintDefaults() }
	f.StringVar(&s.mode, "mode", "flood", "flood, rate, idle, halfopen or register")
	f.StringVar(&s.addr, "addr", "127.0.0.1:1883", "the server, `HOST:PORT`")
	f.BoolVar(&s.tls, "tls", false, "TLS 1.3")
	f.StringVar(&s.ca, "ca", "", "PEM `FILE` of the authority to trust")
	f.StringVar(&s.devices, "devices-file", "", "JSON lines with connectionString, of -mode register or weir device create --json; without it connections are anonymous")
	f.IntVar(&s.conns, "conns", 100, "connections")
	f.IntVar(&s.inflight, "inflight", 16, "messages in flight per connection")
	f.StringVar(&write, "write", "each", "each: a publish in a write of its own, as device SDKs do; window: all that may leave in one write")
	f.Float64Var(&s.rate, "rate", 20000, "messages per second in all, for -mode rate")
	f.DurationVar(&s.duration, "duration", 10*time.Second, "how long to measure, or to hold")
	f.DurationVar(&s.warmup, "warmup", 2*time.Second, "how long to load before measuring, or to settle")
	f.IntVar(&s.size, "size", 150, "bytes of a payload")
	f.IntVar(&s.pid, "pid", 0, "process id of the server, for its CPU and memory")
	f.BoolVar(&s.json, "json", false, "print one JSON object")
	f.StringVar(&s.service, "service", os.Getenv("WEIR_CONNECTION_STRING"), "service connection `STRING`, for -mode register")
	f.StringVar(&s.https, "https", "127.0.0.1:8443", "`HOST:PORT` of the service REST API, for -mode register")
	f.StringVar(&s.host, "host", "localhost", "host name in the connection strings, for -mode register")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	s.each = write == "each"
	if write != "each" && write != "window" || f.NArg() > 0 || s.conns < 1 || s.inflight < 1 || s.inflight > maxInflight || s.size < 2 || !(s.rate > 0) {
		fmt.Fprintf(stderr, "mqttload: -write is each or window; -conns, -rate at least 1; -inflight 1 to %d; -size at least 2; nothing behind the flags\n", maxInflight)
		return nil, flag.ErrHelp
	}
	return &s, nil
}

func run(ctx context.Context, s *settings) (*result, error) {
	if s.mode == "register" {
		return nil, register(ctx, s, os.Stdout)
	}
	d, err := newDialer(s)
	if err != nil {
		return nil, err
	}
	switch s.mode {
	case "flood":
		return flood(ctx, s, d)
	case "rate":
		return paced(ctx, s, d)
	case "idle":
		return idle(ctx, s, d)
	case "halfopen":
		return halfOpen(ctx, s, d)
	}
	return nil, fmt.Errorf("-mode %q: it is flood, rate, idle, halfopen or register", s.mode)
}

// A result is one run; durations are in milliseconds, -1 and 0 where not measured.
type result struct {
	Mode       string  `json:"mode"`
	TLS        bool    `json:"tls"`
	Conns      int     `json:"conns"`
	Inflight   int     `json:"inflight,omitempty"`
	Write      string  `json:"write,omitempty"`
	Acked      uint64  `json:"acked,omitempty"`
	Rate       float64 `json:"rate,omitempty"` // acknowledged per second
	P50        float64 `json:"p50,omitempty"`
	P99        float64 `json:"p99,omitempty"`
	Max        float64 `json:"max,omitempty"`
	CPUPerMsg  float64 `json:"cpuMicrosPerMessage,omitempty"` // of the server
	RSS        int64   `json:"rssBytes,omitempty"`            // of the server, at the end or at most
	RSSBefore  int64   `json:"rssBeforeBytes,omitempty"`
	PerConn    float64 `json:"bytesPerConnection,omitempty"`
	ConnectCPU float64 `json:"connectsPerCPUSecond,omitempty"`
	Open       int     `json:"stillOpen,omitempty"`
}

func (r *result) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	transport := "plain"
	if r.TLS {
		transport = "TLS 1.3"
	}
	fmt.Fprintf(w, "%s  %s  %d connections", r.Mode, transport, r.Conns)
	if r.Rate > 0 {
		fmt.Fprintf(w, " x %d in flight (%s): %.0f acked/s  p50 %.2f ms  p99 %.2f ms  max %.1f ms", r.Inflight, r.Write, r.Rate, r.P50, r.P99, r.Max)
	}
	if r.CPUPerMsg > 0 {
		fmt.Fprintf(w, "  %.2f us CPU per message", r.CPUPerMsg)
	}
	if r.PerConn != 0 {
		fmt.Fprintf(w, "  %.1f KiB per connection (%.1f to %.1f MiB)  %.0f connects per CPU second", r.PerConn/1024, mib(r.RSSBefore), mib(r.RSS), r.ConnectCPU)
	} else if r.RSS > 0 {
		fmt.Fprintf(w, "  server %.1f MiB", mib(r.RSS))
	}
	if r.Mode == "halfopen" {
		fmt.Fprintf(w, "  (%.1f before), %d still open", mib(r.RSSBefore), r.Open)
	}
	_, err := fmt.Fprintln(w)
	return err
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
