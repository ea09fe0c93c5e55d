package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// pageSize is the most that IoT Hub answers to one query.
const pageSize = 1000

// listed is the part of a twin that a list shows.
type listed struct {
	DeviceID         string    `json:"deviceId"`
	Status           string    `json:"status"`
	ConnectionState  string    `json:"connectionState"`
	LastActivityTime azureTime `json:"lastActivityTime"`
	Tags             any       `json:"tags,omitempty"`
}

// azureTime is a time that may lack its zone: UTC.
type azureTime struct{ time.Time }

// UnmarshalJSON reads RFC 3339, with or without a zone.
func (t *azureTime) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := json.Unmarshal(b, &s); err != nil || s == "" {
		return err
	}
	if t.Time, err = time.Parse(time.RFC3339, s); err != nil {
		t.Time, err = time.Parse("2006-01-02T15:04:05", s)
	}
	return err
}

func newDeviceList(g *globals) *cobra.Command {
	var where string
	c := &cobra.Command{
		Use:   "list",
		Short: "List devices",
		Long: `List devices, all of them or those of a condition of the IoT Hub query language
over status, connectionState, tags and twin properties.`,
		Example: `  weir device list
  weir device list --where "connectionState = 'Connected'"
  weir device list --where "tags.site = 'north' AND properties.reported.temperature > 30" --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return g.list(c.Context(), where) },
	}
	c.Flags().StringVar(&where, "where", "", "a `CONDITION`, as behind WHERE")
	return c
}

func (g *globals) list(ctx context.Context, where string) error {
	s, err := g.service()
	if err != nil {
		return err
	}
	query := "SELECT * FROM devices"
	if where != "" {
		query += " WHERE " + where
	}
	t := tabwriter.NewWriter(g.stdout, 0, 0, 2, ' ', 0)
	n := 0
	for item, err := range s.query(ctx, query) {
		if err != nil {
			return err
		}
		var d listed
		if err := json.Unmarshal(item, &d); err != nil {
			return fmt.Errorf("the hub's list is not understood: %w", err)
		}
		if n++; n == 1 && !g.json {
			fmt.Fprintln(t, "DEVICE\tSTATUS\tCONNECTION\tLAST ACTIVITY")
		}
		if err := g.print(d, func(io.Writer) {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", d.DeviceID, d.Status, d.ConnectionState, moment(d.LastActivityTime.Time))
		}); err != nil {
			return err
		}
	}
	if n == 0 && !g.json {
		g.say("no devices: create one with: weir device create ID")
	}
	return t.Flush()
}

// query yields all results of a query, page by page.
func (s *service) query(ctx context.Context, query string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		header := http.Header{"X-Ms-Max-Item-Count": {strconv.Itoa(pageSize)}}
		for {
			var page []json.RawMessage
			got, err := s.call(ctx, http.MethodPost, "/devices/query", header, map[string]string{"query": query}, &page)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			next := got.Get("x-ms-continuation")
			if next == "" {
				return
			}
			header.Set("X-Ms-Continuation", next)
		}
	}
}
