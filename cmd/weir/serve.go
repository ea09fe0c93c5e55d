package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/internal/solution"
	"github.com/weir-iot/weir/node"
)

// served are the flags of the commands that run a node.
type served struct {
	api, mqtt, https string
	verbose          bool
	solution         bool // with the jobs of weir dev
}

// register defines the flags of a command that serves.
func (f *served) register(c *cobra.Command) {
	f.addresses(c)
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log what happens to single devices too")
}

func (f *served) addresses(c *cobra.Command) {
	c.Flags().StringVar(&f.api, "api", "", "listen `ADDR` of the API and dashboard; default: 127.0.0.1:8080")
	c.Flags().StringVar(&f.mqtt, "mqtt", "", "listen `ADDR` of MQTT over TLS; default: :8883")
	c.Flags().StringVar(&f.https, "https", "", "listen `ADDR` of HTTPS and WebSocket; default: :8443, and :443 where it is allowed")
}

// apply puts the flags over the file, and validates the result.
func (f *served) apply(g *globals) (*config.File, error) {
	file, err := g.load()
	if err != nil {
		return nil, err
	}
	for _, flag := range []struct {
		value string
		to    *string
	}{{f.api, &file.API.Listen}, {f.mqtt, &file.MQTT.Listen}, {f.https, &file.HTTPS.Listen}} {
		if flag.value != "" {
			*flag.to = flag.value
		}
	}
	if f.https != "" && !file.Has("https.standard") {
		file.HTTPS.Standard = ""
	}
	if f.solution && !file.Has("jobs") {
		if err := addSolution(file); err != nil {
			return nil, err
		}
	}
	return file, file.Validate()
}

// addSolution gives a configuration without jobs those of weir dev.
func addSolution(file *config.File) error {
	paths, err := solution.Write(file.Folder())
	if err != nil {
		return err
	}
	for name, path := range paths {
		j, there := file.Jobs[name]
		if !there {
			j = config.DefaultJob()
		}
		j.Query = path
		file.Jobs[name] = j
	}
	return nil
}

// level is that of the log on stderr.
func (f *served) level() slog.Level {
	if f.verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func newServe(g *globals) *cobra.Command {
	var f served
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run a node for your own devices",
		Long: `Run a node: hub, log, hot store, API and dashboard, until SIGINT or SIGTERM. A
second signal ends it at once; what was acknowledged is safe in any case.

The first start makes keys and certificates in the data folder, and prints what
devices and services need to connect. Everything has a default; weir.yaml, named
by --config, changes it (docs/reference/config.md).

Ports: 8883 MQTT, 8443 HTTPS and WebSocket, 443 too where the system allows it,
8080 API and dashboard on loopback. Port 443 is for the Node service SDK and MQTT
over WebSocket; Linux allows it with:
  sudo sysctl net.ipv4.ip_unprivileged_port_start=443
Devices are served on every address of this machine, over TLS and with their keys;
--mqtt 127.0.0.1:8883 --https 127.0.0.1:8443 keeps to this machine.`,
		Example: `  weir serve
  weir serve -c weir.yaml --data /var/lib/weir
  weir serve --mqtt 127.0.0.1:18883 --https 127.0.0.1:18443 --api 127.0.0.1:18080`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return g.serve(c.Context(), &f, nil) },
	}
	f.register(c)
	return c
}

// serve runs a node until ctx ends, with a fleet beside it unless that is nil.
func (g *globals) serve(ctx context.Context, f *served, fleet *fleetOf) error {
	file, err := f.apply(g)
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, file.Config, version(), g.logger(f.level()))
	if err != nil {
		return err
	}
	if err := g.welcome(ctx, f, file, n, fleet); err != nil {
		return errors.Join(err, n.Close())
	}
	if fleet == nil {
		return n.Run(ctx)
	}
	roots, err := trust(file.Data)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { fleet.run(ctx, n.State(), roots) })
	err = n.Run(ctx)
	stop()
	wg.Wait()
	return err
}

// welcome prints how to connect. Keys are for eyes, not for the log file of a
// service: serve prints them on a terminal only.
func (g *globals) welcome(ctx context.Context, f *served, file *config.File, n *node.Node, fleet *fleetOf) error {
	s := n.State()
	rows := [][]string{{"dashboard and API", cmp.Or(s.API, "not served: roles")}, {"MQTT for devices", s.MQTT + reach(file.MQTT.Listen)}, {"HTTPS", strings.Join(s.HTTPS, ", ") + reach(file.HTTPS.Listen)}, {"data", file.Data}}
	if f.solution {
		rows = append(rows, []string{"jobs", filepath.Join(file.Folder(), "jobs", "*.asaql") + "   (weir alerts --follow" + dataFlag(g, file) + ")"})
	}
	if fleet != nil {
		if err := fleet.register(ctx, n); err != nil {
			return err
		}
		more, err := fleet.rows(file, s)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	} else if terminal(g.stdout) {
		cs, err := policyConnection(file.Data, s.ServiceHost(), "service")
		if err != nil {
			return err
		}
		rows = append(rows, []string{"service", cs.Encode()})
	}
	public := *s
	public.APIToken = ""
	return g.print(public, func(w io.Writer) {
		table(w, rows)
		fmt.Fprintf(w, trustText, s.CA, dataFlag(g, file))
	})
}

// reach says who else gets to a listener that is dialled on loopback from here.
func reach(listen string) string {
	if host, _, err := net.SplitHostPort(listen); err == nil {
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			return "   (and on every address of this machine)"
		}
	}
	return ""
}

// trustText is for %[1]s, the CA file, and %[2]s, the flag for other commands.
const trustText = `
Let the Azure SDKs trust this hub:
  export SSL_CERT_FILE=%[1]s REQUESTS_CA_BUNDLE=%[1]s   # Python, Go
  export NODE_EXTRA_CA_CERTS=%[1]s   # Node

Another device:  weir device create my-pump%[2]s
`

// dataFlag is what commands in another terminal need to find this node.
func dataFlag(g *globals, file *config.File) string {
	if g.data == "" && !file.Has("data") {
		return ""
	}
	return " --data " + file.Data
}
