package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

// messaged are the flags of device message.
type messaged struct {
	properties []string
	id         string
	ack        string
	kind       string
	ttl        time.Duration
}

func newDeviceMessage(g *globals) *cobra.Command {
	var f messaged
	c := &cobra.Command{
		Use:   "message ID BODY",
		Short: "Send a cloud-to-device message",
		Long: `Send a message to a device. It waits in the device's queue, on disk, until the
device takes it or it expires. This works with Weir alone: Azure IoT Hub takes
such messages by AMQP only.`,
		Example: `  weir device message pump-1 '{"display":"hello"}'
  weir device message pump-1 stop --property urgent=true --ack full --message-id m1 --ttl 10m`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			header, err := f.header()
			if err != nil {
				return err
			}
			s, err := g.service()
			if err != nil {
				return err
			}
			if _, err := s.call(c.Context(), http.MethodPost, devicePath("devices", id)+"/messages/devicebound", header, []byte(args[1]), nil); err != nil {
				return full(notFound(err, id), id)
			}
			v := struct {
				Queued string `json:"queued"`
			}{id.String()}
			return g.print(v, func(w io.Writer) { fmt.Fprintln(w, "queued for", id) })
		},
	}
	c.Flags().StringArrayVar(&f.properties, "property", nil, "an application property `NAME=VALUE`; may be repeated")
	c.Flags().StringVar(&f.id, "message-id", "", "the message's `ID`")
	c.Flags().StringVar(&f.ack, "ack", "none", "the feedback that is wanted: none, positive, negative or full")
	c.Flags().StringVar(&f.kind, "content-type", "", "the `TYPE` of the body")
	c.Flags().DurationVar(&f.ttl, "ttl", 0, "how long it waits for the device, up to 48h; default: 1h")
	return c
}

func (f messaged) header() (http.Header, error) {
	properties, err := parseProperties(f.properties)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("iothub-properties", bag(properties))
	set("iothub-messageid", f.id)
	set("iothub-contenttype", f.kind)
	h.Set("Content-Type", "application/octet-stream")
	switch f.ack {
	case "none", "positive", "negative", "full":
		set("iothub-ack", f.ack)
	default:
		return nil, fmt.Errorf("--ack %q: it is none, positive, negative or full", f.ack)
	}
	if f.ttl < 0 {
		return nil, errors.New("--ttl is negative")
	}
	if f.ttl > 0 {
		set("iothub-expiry", time.Now().Add(f.ttl).UTC().Format(time.RFC3339))
	}
	return h, nil
}

// bag writes properties as name=value&name=value, percent-encoded.
func bag(properties telemetry.Properties) string {
	var parts []string
	for _, p := range properties {
		part := escape(p.Key)
		if !p.Null {
			part += "=" + escape(p.Value)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "&")
}

// escape is percent-encoding; url.QueryEscape alone would make spaces pluses.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func full(err error, id hub.ID) error {
	var r *refused
	if errors.As(err, &r) && r.Name == hub.ErrQueueFull.Name {
		return fmt.Errorf("the queue of %s is full: let the device take messages first (%w)", id, r)
	}
	return err
}
