package main

import (
	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/node"
)

// newJavaScript is the command that jobs start for the JavaScript functions of
// their queries; it talks to them alone.
func newJavaScript(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:    "javascript",
		Short:  "Run the functions of queries, for a job",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(c *cobra.Command, _ []string) error { return node.JavaScript(c.InOrStdin(), g.stdout) },
	}
}
