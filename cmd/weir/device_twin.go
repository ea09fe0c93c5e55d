package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

func newDeviceTwin(g *globals) *cobra.Command {
	var desired, tags string
	c := &cobra.Command{
		Use:   "twin ID",
		Short: "Show a twin, or change its desired properties and tags",
		Long: `Show a twin, or merge a patch into its desired properties and tags and show the
result. null in a patch removes a property.`,
		Example: `  weir device twin pump-1
  weir device twin pump-1 --desired '{"interval":5,"oldSetting":null}'
  weir device twin pump-1 --tags '{"site":"north"}' --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			patch, err := twinPatch(desired, tags)
			if err != nil {
				return err
			}
			s, err := g.service()
			if err != nil {
				return err
			}
			method, header := http.MethodGet, http.Header{}
			if patch != nil {
				method = http.MethodPatch
				header.Set("If-Match", `"*"`)
			}
			var twin json.RawMessage
			if _, err := s.call(c.Context(), method, devicePath("twins", id), header, patch, &twin); err != nil {
				return notFound(err, id)
			}
			return g.print(twin, func(w io.Writer) { indent(w, twin) })
		},
	}
	c.Flags().StringVar(&desired, "desired", "", "a `JSON` object to merge into the desired properties")
	c.Flags().StringVar(&tags, "tags", "", "a `JSON` object to merge into the tags")
	return c
}

// twinPatch is nil where there is nothing to change.
func twinPatch(desired, tags string) (any, error) {
	patch := map[string]any{}
	for _, part := range []struct{ flag, text string }{{"desired", desired}, {"tags", tags}} {
		if part.text == "" {
			continue
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(part.text), &object); err != nil || object == nil {
			return nil, fmt.Errorf("--%s: it is not a JSON object: %w", part.flag, err)
		}
		if part.flag == "tags" {
			patch["tags"] = json.RawMessage(part.text)
		} else {
			patch["properties"] = map[string]any{"desired": json.RawMessage(part.text)}
		}
	}
	if len(patch) == 0 {
		return nil, nil
	}
	return patch, nil
}

// indent writes JSON for people.
func indent(w io.Writer, text []byte) {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		b.Reset()
		b.Write(text)
	}
	fmt.Fprintln(w, b.String())
}
