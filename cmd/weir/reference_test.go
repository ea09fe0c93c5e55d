package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite docs/reference/cli.md")

const referencePage = "../../docs/reference/cli.md"

// TestReference keeps docs/reference/cli.md in step with the commands.
func TestReference(t *testing.T) {
	got := reference()
	if *update {
		if err := os.WriteFile(referencePage, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(referencePage)
	if err != nil || string(want) != got {
		t.Errorf("%s is stale (%v): run go generate ./cmd/weir", referencePage, err)
	}
}

// TestHelp: every command says what it does, and how, with an example.
func TestHelp(t *testing.T) {
	each(testRoot(), func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short help", c.CommandPath())
		}
		if c.Runnable() && !strings.Contains(c.Example, "  weir "+strings.TrimPrefix(c.CommandPath(), "weir ")) {
			t.Errorf("%s has no example", c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", c.CommandPath(), f.Name)
			}
		})
	})
}

func testRoot() *cobra.Command {
	root := newRoot(&globals{stdout: io.Discard, stderr: io.Discard})
	root.InitDefaultHelpFlag()
	return root
}

func reference() string {
	var b strings.Builder
	root := testRoot()
	b.WriteString("# The command line\n\n<!-- Generated from cmd/weir by go generate ./cmd/weir. -->\n\n" + code(root.Long))
	b.WriteString("\n## Flags of every command\n\n" + flags(root.PersistentFlags()))
	each(root, func(c *cobra.Command) {
		if c == root {
			return
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", c.CommandPath(), c.Short)
		if c.Long != "" {
			b.WriteString("\n" + code(c.Long))
		}
		if c.Runnable() {
			b.WriteString("\n" + code(c.UseLine()))
		}
		if f := flags(c.NonInheritedFlags()); f != "" {
			b.WriteString("\n" + f)
		}
		if c.Example != "" {
			b.WriteString("\nExamples:\n\n" + code(strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n")))
		}
	})
	return b.String()
}

func code(s string) string { return "```\n" + s + "\n```\n" }

// flags is a list of all flags but help.
func flags(set *pflag.FlagSet) string {
	var b strings.Builder
	set.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("--" + f.Name + " " + value)
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(&b, "- `%s`: %s", name, usage)
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "0s" && d != "[]" {
			fmt.Fprintf(&b, " (default %s)", d)
		}
		b.WriteString("\n")
	})
	return b.String()
}

// each visits c and its commands, in the order of help.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Name() == "help" || c.Hidden {
		return
	}
	visit(c)
	for _, sub := range c.Commands() {
		each(sub, visit)
	}
}
