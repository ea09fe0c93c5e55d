package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/node"
)

// errCheck is the verdict of a check that found something.
var errCheck = errors.New("check: something is wrong: see above")

func newCheck(g *globals) *cobra.Command {
	var f served
	c := &cobra.Command{
		Use:   "check",
		Short: "Check configuration, data folder, keys, certificate and ports",
		Long: `Check whether weir serve would start: the configuration, the data folder, policies
and keys, the certificate, and the ports. It changes nothing and makes nothing; it
does not read log, registry and store, whose own start says what is damaged.

With --json one object per line: subject, and detail, notice (it starts all the
same) or problem (it does not). The exit code is 1 if something is wrong.`,
		Example: `  weir check
  weir check -c weir.yaml --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var findings []node.Finding
			file, err := f.apply(g)
			if err != nil {
				findings = []node.Finding{{Subject: "configuration", Problem: err.Error()}}
			} else {
				findings = append([]node.Finding{{Subject: "configuration", Detail: where(g.config)}}, node.Check(c.Context(), file.Config)...)
			}
			return g.report(findings)
		},
	}
	f.addresses(c)
	return c
}

func where(config string) string {
	if config == "" {
		return "defaults"
	}
	return config
}

func (g *globals) report(findings []node.Finding) error {
	rows, bad := [][]string{}, false
	for _, f := range findings {
		bad = bad || f.Problem != ""
		if err := g.print(f, func(io.Writer) { rows = append(rows, []string{f.Subject, f.Verdict(), f.Text()}) }); err != nil {
			return err
		}
	}
	if !g.json {
		table(g.stdout, rows)
	}
	if bad {
		return errCheck
	}
	return nil
}
