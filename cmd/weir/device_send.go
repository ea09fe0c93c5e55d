package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/device"
	"github.com/weir-iot/weir/telemetry"
)

// farewell bounds the wait for the last acknowledgements.
const farewell = 30 * time.Second

// sent are the flags of device send.
type sent struct {
	properties []string
	id         string
	kind       string
	count      int
	interval   time.Duration
	timeout    time.Duration
}

func newDeviceSend(g *globals) *cobra.Command {
	var f sent
	c := &cobra.Command{
		Use:   "send ID BODY",
		Short: "Send telemetry as a device",
		Long: `Connect as the device, over MQTT and TLS with its own key, send a message and wait
for its acknowledgement: the message is then on the hub's disk. {n} in BODY
becomes the number of the message, from 1.`,
		Example: `  weir device send pump-1 '{"temperature":21.5}'
  weir device send pump-1 '{"n":{n}}' --count 1000 --property alert=true`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return g.send(c.Context(), args[0], args[1], f) },
	}
	c.Flags().StringArrayVar(&f.properties, "property", nil, "an application property `NAME=VALUE`; may be repeated")
	c.Flags().StringVar(&f.id, "message-id", "", "the message's `ID`; default: one that the client makes")
	c.Flags().StringVar(&f.kind, "content-type", "application/json", "the `TYPE` of the body; the encoding is utf-8")
	c.Flags().IntVar(&f.count, "count", 1, "how many messages")
	c.Flags().DurationVar(&f.interval, "interval", 0, "the pause between messages")
	c.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "give up connecting after this")
	return c
}

func (g *globals) send(ctx context.Context, arg, body string, f sent) (err error) {
	id, err := parseID(arg)
	if err != nil {
		return err
	}
	properties, err := parseProperties(f.properties)
	if err != nil {
		return err
	}
	if f.count < 1 || (f.id != "" && f.count > 1) {
		return errors.New("--count is at least 1, and 1 with --message-id")
	}
	s, err := g.service()
	if err != nil {
		return err
	}
	d, err := s.device(ctx, id)
	if err != nil {
		return err
	}
	client, err := s.dial(ctx, s.identity(d).ConnectionString, f.timeout)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		err = errors.Join(err, client.Close(end))
	}()
	begun := time.Now()
	m := device.Message{ID: f.id, ContentType: f.kind, Encoding: "utf-8", Properties: properties}
	if err := sendAll(ctx, client, m, body, f); err != nil {
		return err
	}
	v := struct {
		Acked   int     `json:"acked"`
		Seconds float64 `json:"seconds"`
	}{f.count, time.Since(begun).Seconds()}
	return g.print(v, func(w io.Writer) { fmt.Fprintf(w, "%d acknowledged in %.3f s\n", v.Acked, v.Seconds) })
}

// sendAll sends one by one with an interval, else as fast as acknowledgements come.
func sendAll(ctx context.Context, client *device.Client, m device.Message, body string, f sent) error {
	message := func(n int) device.Message {
		m.Body = []byte(strings.ReplaceAll(body, "{n}", fmt.Sprint(n)))
		return m
	}
	if f.interval <= 0 {
		errs := make(chan error, f.count)
		for n := range f.count {
			client.SendAsync(ctx, message(n+1), func(err error) { errs <- err })
		}
		var first error
		for range f.count {
			if err := <-errs; err != nil && first == nil {
				first = err
			}
		}
		return first
	}
	for n := range f.count {
		if n > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(f.interval):
			}
		}
		if err := client.Send(ctx, message(n+1)); err != nil {
			return err
		}
	}
	return nil
}

// dial connects as a device to the hub that s talks to.
func (s *service) dial(ctx context.Context, connection string, timeout time.Duration) (*device.Client, error) {
	if connection == "" {
		return nil, errors.New("the device has no key to connect with: it uses a certificate, or this policy may not read keys")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no connection within %s", timeout))
	defer cancel()
	options := device.Options{RootCAs: s.roots, ProductInfo: "weir/" + version()}
	if s.state != nil {
		options.Dial = s.state.Dial
	}
	client, err := device.Connect(ctx, connection, options)
	if err != nil {
		return nil, fmt.Errorf("connecting as the device: %w", err)
	}
	return client, nil
}

// parseProperties reads NAME=VALUE, or NAME alone for an absent value.
func parseProperties(args []string) (telemetry.Properties, error) {
	var all telemetry.Properties
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if key == "" {
			return nil, fmt.Errorf("--property %q: write NAME=VALUE", a)
		}
		all = append(all, telemetry.Property{Key: key, Value: value, Null: !ok})
	}
	return all, nil
}
