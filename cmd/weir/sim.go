package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/device"
	"github.com/weir-iot/weir/internal/fleet"
)

// maxSimulated bounds --devices: a process has so many sockets at most.
const maxSimulated = 100_000

// simulated are the flags of weir sim.
type simulated struct {
	devices, window, size int
	rate                  float64
	duration, faults      time.Duration
	prefix                string
	seed                  uint64
	webSocket             bool
}

// newSim is weir sim.
func newSim(g *globals) *cobra.Command {
	var f simulated
	c := &cobra.Command{
		Use:   "sim",
		Short: "Put a hub under the load of simulated machines",
		Long: `Connect simulated machines as real devices over MQTT and TLS, let them send, and
measure how long the hub takes to acknowledge: from the moment when a message was
due to its PUBACK. The machines have plausible physics, and faults now and then.

The devices are registered first; ones that exist already get new keys. They stay
registered: weir device delete removes them.

With --json the result is one object: devices, sent, acked, resent, errors, lost
(messages that were never acknowledged), rate (acknowledged messages per second),
seconds, and p50, p99, max of the acknowledgement in milliseconds.

The exit code is 1 if a message was lost or refused, or a device could not
connect. Ctrl-C ends the load and still prints the result.`,
		Example: `  weir sim --devices 1000 --rate 20000 --duration 30s
  weir sim --devices 100 --rate 0 --window 64 --size 150 --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return err
			}
			return g.simulate(c.Context(), &f)
		},
	}
	c.Flags().IntVar(&f.devices, "devices", 100, "how many machines")
	c.Flags().Float64Var(&f.rate, "rate", 100, "messages per second of all together; 0: as fast as the windows let")
	c.Flags().DurationVar(&f.duration, "duration", 10*time.Second, "how long; 0: until Ctrl-C")
	c.Flags().IntVar(&f.size, "size", 0, "bytes of a payload, padded up; 0: what the physics give, about 190")
	c.Flags().IntVar(&f.window, "window", 16, "messages in flight per machine")
	c.Flags().DurationVar(&f.faults, "faults", 15*time.Minute, "mean time between the faults of a machine; 0: none")
	c.Flags().StringVar(&f.prefix, "prefix", "sim-", "what the ids of the devices begin with")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "the same seed gives the same machines")
	c.Flags().BoolVar(&f.webSocket, "websocket", false, "connect through WebSocket (port 443)")
	return c
}

func (f *simulated) validate() error {
	switch {
	case f.devices < 1 || f.devices > maxSimulated:
		return fmt.Errorf("--devices %d: it is 1 to %d", f.devices, maxSimulated)
	case !(f.rate >= 0 && f.rate <= 1e9):
		return fmt.Errorf("--rate %v: it is 0 or more", f.rate)
	case f.duration < 0 || f.faults < 0:
		return errors.New("--duration and --faults are 0 or more")
	case f.size < 0 || f.size > device.MaxMessage:
		return fmt.Errorf("--size %d: it is 0 to %d", f.size, device.MaxMessage)
	case f.window < 1 || f.window > device.MaxWindow:
		return fmt.Errorf("--window %d: it is 1 to %d", f.window, device.MaxWindow)
	}
	return nil
}

func (g *globals) simulate(ctx context.Context, f *simulated) error {
	s, err := g.service()
	if err != nil {
		return err
	}
	ids := make([]string, f.devices)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%04d", f.prefix, i+1)
	}
	registry := fleet.Registry{Base: s.base, Service: s.cs, HTTP: s.http, Host: s.deviceHost()}
	g.say("registering %d devices", f.devices)
	strings, err := registry.Register(ctx, ids)
	if err != nil {
		return s.unreachable(err)
	}
	load := fleet.Load{
		Devices: strings, Rate: f.rate, Duration: f.duration, Size: f.size, Seed: f.seed, Faults: f.faults,
		Client:   s.deviceOptions(s.roots, f),
		Progress: g.simProgress(),
	}
	report := load.Run(ctx)
	if terminal(g.stderr) {
		g.say("")
	}
	return g.simReport(report)
}

// deviceOptions are those of a client of the hub that s talks to.
func (s *service) deviceOptions(roots *x509.CertPool, f *simulated) device.Options {
	o := device.Options{Window: f.window, RootCAs: roots, WebSocket: f.webSocket, ProductInfo: "weir-sim"}
	if s.state != nil && !f.webSocket {
		o.Dial = s.state.Dial
	}
	if s.state != nil && f.webSocket {
		o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.state.HTTPS[0])
		}
	}
	return o
}

// simProgress draws a line that renews itself on a screen, or prints one every
// ten seconds.
func (g *globals) simProgress() func(fleet.Progress) {
	screen := terminal(g.stderr)
	var calls int
	var before int64
	return func(p fleet.Progress) {
		calls++
		line := fmt.Sprintf("connected %d of %d", p.Connected, p.Devices)
		if p.Sending > 0 {
			line += fmt.Sprintf("  %v  sent %d  acked %d  %d/s  errors %d", p.Sending.Round(time.Second), p.Sent, p.Acked, p.Acked-before, p.Errors)
			before = p.Acked
		}
		switch {
		case screen:
			fmt.Fprintf(g.stderr, "\r\x1b[K%s", line)
		case calls%10 == 0:
			g.say("%s", line)
		}
	}
}

// A simResult is what weir sim --json prints; times are in milliseconds.
type simResult struct {
	Devices int     `json:"devices"`
	Sent    int64   `json:"sent"`
	Acked   int64   `json:"acked"`
	Resent  int64   `json:"resent"`
	Errors  int64   `json:"errors"`
	Lost    int64   `json:"lost"`
	Rate    float64 `json:"rate"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
}

func (g *globals) simReport(r *fleet.Report) error {
	v := simResult{
		Devices: r.Devices, Sent: r.Sent, Acked: r.Acked, Resent: r.Resent, Errors: r.Errors, Lost: r.Lost,
		Rate: rounded(r.Rate, 10), Seconds: rounded(r.Elapsed.Seconds(), 1000),
		P50: milliseconds(r.Latency.Quantile(0.5)), P99: milliseconds(r.Latency.Quantile(0.99)), Max: milliseconds(r.Latency.Max()),
	}
	err := g.print(v, func(w io.Writer) {
		table(w, [][]string{
			{"devices", "sent", "acked", "resent", "errors", "lost", "acked/s", "p50 ms", "p99 ms", "max ms"},
			{strconv.Itoa(v.Devices), fmt.Sprint(v.Sent), fmt.Sprint(v.Acked), fmt.Sprint(v.Resent), fmt.Sprint(v.Errors), fmt.Sprint(v.Lost),
				fmt.Sprint(v.Rate), fmt.Sprint(v.P50), fmt.Sprint(v.P99), fmt.Sprint(v.Max)},
		})
	})
	switch {
	case err != nil:
		return err
	case r.Err != nil:
		return fmt.Errorf("%d errors, %d messages lost; the first: %w", r.Errors, r.Lost, r.Err)
	case r.Lost > 0:
		return fmt.Errorf("%d messages were never acknowledged", r.Lost)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return rounded(float64(d)/1e6, 1000) }

// rounded keeps digits of v: 1000 for three behind the point.
func rounded(v, digits float64) float64 { return float64(int64(v*digits+0.5)) / digits }
