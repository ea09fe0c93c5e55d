package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func newDeviceInvoke(g *globals) *cobra.Command {
	var payload string
	var timeout, wait time.Duration
	c := &cobra.Command{
		Use:   "invoke ID METHOD",
		Short: "Call a direct method of a connected device",
		Long: `Call a direct method of a device and wait for its answer: a status, which the
device chooses, and a payload.`,
		Example: `  weir device invoke pump-1 reboot
  weir device invoke pump-1 setSpeed --payload '{"rpm":1200}' --timeout 10s --wait 5s`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			if payload != "" && !json.Valid([]byte(payload)) {
				return errors.New("--payload: it is not JSON")
			}
			s, err := g.service()
			if err != nil {
				return err
			}
			body := map[string]any{"methodName": args[1], "responseTimeoutInSeconds": seconds(timeout), "connectTimeoutInSeconds": seconds(wait)}
			if payload != "" {
				body["payload"] = json.RawMessage(payload)
			}
			var answer struct {
				Status  int             `json:"status"`
				Payload json.RawMessage `json:"payload"`
			}
			if _, err := s.call(c.Context(), http.MethodPost, devicePath("twins", id)+"/methods", nil, body, &answer); err != nil {
				return offline(notFound(err, id), id.String())
			}
			return g.print(answer, func(w io.Writer) {
				fmt.Fprintln(w, "status", answer.Status)
				if len(answer.Payload) > 0 {
					indent(w, answer.Payload)
				}
			})
		},
	}
	c.Flags().StringVar(&payload, "payload", "", "the method's argument, as `JSON`")
	c.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long the device may take to answer: 5s to 5m")
	c.Flags().DurationVar(&wait, "wait", 0, "how long to wait for a device that is not connected")
	return c
}

// seconds rounds up: the service REST API knows whole seconds.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

func offline(err error, id string) error {
	var r *refused
	if errors.As(err, &r) && r.Name == "DeviceNotOnline" {
		return fmt.Errorf("%s is not connected: start it, or wait for it with --wait 30s (%w)", id, r)
	}
	return err
}
