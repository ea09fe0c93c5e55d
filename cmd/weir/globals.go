package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/node"
)

// connectionEnv names the environment variable that stands for
// --connection-string: it keeps the key out of the list of processes.
const connectionEnv = "WEIR_CONNECTION_STRING"

// globals are the flags that every command has, and where it writes: results
// to stdout, messages to stderr.
type globals struct {
	config     string // path of weir.yaml, or ""
	data       string // --data, or "": the configuration's
	connection string // service connection string, or ""
	json       bool
	stdout     io.Writer
	stderr     io.Writer
}

func newRoot(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "The Azure IoT reference architecture as one program",
		Long: `Weir is the Azure IoT reference architecture as one program: devices connect with
the Azure IoT SDKs that they already use; recent data, live data and an API come out.

Start with:

  weir dev        everything, with 20 simulated machines, in ./data
  weir serve      the same for your own devices

Then talk to it from another terminal: weir device list, weir device monitor,
weir job list, weir alerts --follow. weir query and weir test need no running weir.
Commands find the running weir through its data folder (--data), or talk to the
hub of --connection-string, a real Azure IoT Hub included.

Results go to standard output, messages and the log to standard error.

Environment:
  ` + connectionEnv + `  stands for --connection-string, and keeps the key
                          out of the list of processes
  SSL_CERT_FILE           authorities to trust beside those of the data folder
  HTTPS_PROXY, NO_PROXY   as usual, for the service REST API

Exit codes: 0 done, 1 an error or a bad result (weir check, weir sim), 130 interrupted;
those of weir test are Azure's.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	f := root.PersistentFlags()
	f.SortFlags = false
	f.StringVarP(&g.config, "config", "c", "", "the configuration `FILE` (docs/reference/config.md)")
	f.StringVar(&g.data, "data", "", "the data `DIR`; default: ./data, or what the configuration says")
	f.StringVar(&g.connection, "connection-string", "", "talk to the hub of this service connection `STRING` instead of the weir that runs on the data folder; also read from "+connectionEnv)
	f.BoolVar(&g.json, "json", false, "print JSON: one object, or one per line")
	root.SetUsageTemplate(root.UsageTemplate() + usageFoot)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return misused(c, err) })
	root.AddCommand(newDev(g), newServe(g), newSim(g), newDevice(g), newQuery(g), newTest(g), newJob(g), newAlerts(g), newConnectionString(g), newCheck(g), newVersion(g), newJavaScript(g))
	hintArgs(root)
	return root
}

// usageFoot ends the help of every command but the first, which says it itself.
const usageFoot = `{{if .HasParent}}
Environment and exit codes: weir --help
{{end}}`

// misused adds to an error in how c was called how to call it.
func misused(c *cobra.Command, err error) error {
	if c.HasSubCommands() {
		return fmt.Errorf("%w: %s --help lists them", err, c.CommandPath())
	}
	return fmt.Errorf("%w: use it as: %s (more: %s --help)", err, c.UseLine(), c.CommandPath())
}

// hintArgs lets c and its commands say how they are called when their
// arguments are wrong.
func hintArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return misused(c, err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		hintArgs(sub)
	}
}

// load reads the configuration and applies --data.
func (g *globals) load() (*config.File, error) {
	file := config.Empty()
	if g.config != "" {
		var err error
		if file, err = config.Load(g.config); err != nil {
			return nil, err
		}
	}
	if g.data != "" {
		file.Data = g.data
	}
	return file, nil
}

// dataDir is the data folder of the node that a command talks to.
func (g *globals) dataDir() (string, error) {
	file, err := g.load()
	if err != nil {
		return "", err
	}
	return file.Data, nil
}

// print writes a result: v as one line of JSON with --json, else what text writes.
func (g *globals) print(v any, text func(w io.Writer)) error {
	if !g.json {
		text(g.stdout)
		return nil
	}
	return encode(g.stdout, v)
}

// encode writes v as one line of JSON.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// say writes a message for people.
func (g *globals) say(format string, args ...any) { fmt.Fprintf(g.stderr, format+"\n", args...) }

// logger writes to stderr: text for people, JSON with --json.
func (g *globals) logger(level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if g.json {
		return slog.New(slog.NewJSONHandler(g.stderr, options))
	}
	return slog.New(slog.NewTextHandler(g.stderr, options))
}

// table writes rows in aligned columns; the first row is the head.
func table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(r, "\t"), "\t "))
	}
	_ = t.Flush() // a terminal that went away
}

// explain adds what to do to an error, where it does not say so itself.
func explain(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, node.ErrNotRunning):
		return text + ": is weir running? start it with: weir dev"
	case strings.HasPrefix(text, "unknown command") && !strings.Contains(text, "--help"):
		text, guess, found := strings.Cut(strings.TrimSpace(text), "\n\nDid you mean this?\n\t")
		if found {
			text += ": did you mean " + strings.ReplaceAll(guess, "\n\t", " or ") + "?"
		}
		return text + ": weir --help lists them"
	case errors.Is(err, syscall.ENOSPC) && !strings.Contains(text, ": free "):
		return text + ": free space on that disk, or choose another folder with --data"
	case errors.Is(err, os.ErrPermission) && errors.As(err, new(*fs.PathError)) && !strings.Contains(text, ": run ") && !strings.Contains(text, "--data"):
		return text + ": run this as the user that runs weir"
	}
	return text
}

// terminal says whether w is a screen, on which progress may be redrawn.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
