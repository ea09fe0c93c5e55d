package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxEvent bounds the bytes of one line of the live tail.
const maxEvent = 4 << 20

func newDeviceMonitor(g *globals) *cobra.Command {
	var count int
	var since time.Duration
	var properties []string
	c := &cobra.Command{
		Use:   "monitor [ID...]",
		Short: "Print messages as they arrive",
		Long: `Print the messages of all devices, or of those named, as they arrive: one line per
message, until interrupted. It reads the live tail of the running weir's API.`,
		Example: `  weir device monitor
  weir device monitor pump-1 pump-2 --property alert=true
  weir device monitor pump-1 --since 10m --count 100 --json`,
		RunE: func(c *cobra.Command, ids []string) error {
			query := url.Values{"device": ids}
			for _, p := range properties {
				key, value, _ := strings.Cut(p, "=")
				query.Add("property."+key, value)
			}
			if since > 0 {
				query.Set("from", time.Now().Add(-since).UTC().Format(time.RFC3339))
			}
			return g.monitor(c.Context(), query, count)
		},
	}
	c.Flags().IntVar(&count, "count", 0, "stop after so many messages; 0: never")
	c.Flags().DurationVar(&since, "since", 0, "begin with what arrived that long ago")
	c.Flags().StringArrayVar(&properties, "property", nil, "only messages with the application property `NAME=VALUE`; may be repeated")
	return c
}

func (g *globals) monitor(ctx context.Context, query url.Values, count int) error {
	a, err := g.api("device monitor")
	if err != nil {
		return err
	}
	answer, err := a.open(ctx, http.MethodGet, "/live?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return g.follow(answer.Body, count)
}

// follow prints messages until count were seen (0: for ever).
func (g *globals) follow(stream io.Reader, count int) error {
	seen := 0
	return serverEvents(stream, func(event, data string) (more bool, err error) {
		if event != "message" {
			g.say("%s %s", event, data)
			return true, nil
		}
		seen++
		return seen != count, g.print(json.RawMessage(data), func(w io.Writer) { line(w, []byte(data)) })
	})
}

// line writes a message for people: time, device, properties, body.
func line(w io.Writer, data []byte) {
	var m struct {
		DeviceID   string          `json:"deviceId"`
		ModuleID   string          `json:"moduleId"`
		EnqueuedAt time.Time       `json:"enqueuedAt"`
		Properties json.RawMessage `json:"properties"`
		Body       json.RawMessage `json:"body"`
		Text       *string         `json:"text"`
		Base64     string          `json:"base64"`
	}
	if json.Unmarshal(data, &m) != nil {
		fmt.Fprintln(w, string(data))
		return
	}
	id := m.DeviceID
	if m.ModuleID != "" {
		id += "/" + m.ModuleID
	}
	body := string(m.Body)
	if m.Text != nil {
		body = fmt.Sprintf("%q", *m.Text) // a device must not write to the terminal as it likes
	} else if m.Base64 != "" {
		body = "base64:" + m.Base64
	}
	fmt.Fprintf(w, "%s  %s  %s", m.EnqueuedAt.Local().Format("15:04:05.000"), id, body)
	if len(m.Properties) > 0 {
		fmt.Fprintf(w, "  %s", m.Properties)
	}
	fmt.Fprintln(w)
}
