package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/device"
	"github.com/weir-iot/weir/internal/fleet"
	"github.com/weir-iot/weir/node"
)

// ownDevice is the device that weir dev makes for the user's first program.
const ownDevice = "my-device"

func newDev(g *globals) *cobra.Command {
	var f served
	var machines int
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run everything, with simulated machines",
		Long: `Run everything on this machine: a node as weir serve runs it, and simulated
machines that connect to it as real devices do, over MQTT and TLS, with faults now
and then. It prints the address of the dashboard, the connection strings of a
device and of a service, and the environment with which the Azure SDKs trust it.

Its jobs are files to read and change: jobs/*.asaql beside the configuration, or in
the data folder where there is none. They find anomalies and what is above 30 °C:
weir alerts --follow. A configuration with the key jobs has its own instead.

Ctrl-C stops it; the data stays in the data folder, and the next start goes on.`,
		Example: `  weir dev
  weir dev --machines 200 --data /tmp/weir
  weir dev --machines 0`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if machines < 0 || machines > maxMachines {
				return fmt.Errorf("--machines %d: it is 0 to %d; weir sim makes more load", machines, maxMachines)
			}
			f.solution = true
			return g.serve(c.Context(), &f, &fleetOf{g: g, machines: machines})
		},
	}
	f.register(c)
	c.Flags().IntVar(&machines, "machines", 20, "how many simulated machines")
	return c
}

const (
	maxMachines  = 1000 // of weir dev
	machineKinds = 5    // pump, compressor, oven, chiller, fan
)

// A fleetOf is what weir dev adds to a node.
type fleetOf struct {
	g        *globals
	machines int
	own      string // connection string of ownDevice
	ids      []string
	strings  []string // connection strings, as ids
}

// register makes the devices, before the node serves.
func (f *fleetOf) register(ctx context.Context, n *node.Node) error {
	for i := range f.machines {
		f.ids = append(f.ids, fmt.Sprintf("machine-%02d", i+1))
	}
	all, err := n.EnsureDevices(ctx, append([]string{ownDevice}, f.ids...)...)
	if err != nil {
		return err
	}
	f.own, f.strings = all[0], all[1:]
	return nil
}

// rows are what the welcome says beyond serve's: keys too, this is for trying out.
func (f *fleetOf) rows(file *config.File, s *node.State) ([][]string, error) {
	cs, err := policyConnection(file.Data, s.ServiceHost(), "service")
	if err != nil {
		return nil, err
	}
	return [][]string{{"service", cs.Encode()}, {"device", f.own}, {"machines", fmt.Sprint(f.machines)}}, nil
}

// Of the simulation: each machine has a fault every 20 minutes, so that among
// twenty something happens each minute.
const (
	readingEvery = time.Second
	faultEvery   = 20 * time.Minute
	firstSpike   = 20 * time.Second // of the first machine; the others follow at the same distance
)

// run lets the machines work until ctx ends.
func (f *fleetOf) run(ctx context.Context, s *node.State, roots *x509.CertPool) {
	var wg sync.WaitGroup
	for i, connection := range f.strings {
		machine := fleet.New(f.ids[i], fleet.Kind(i%machineKinds), uint64(i), faultEvery)
		machine.Begin(fleet.Spike, time.Duration(i+1)*firstSpike)
		wg.Go(func() {
			if err := work(ctx, machine, connection, device.Options{RootCAs: roots, Dial: s.Dial, ProductInfo: "weir dev"}); err != nil {
				f.g.say("%s: %v", machine.ID(), err)
			}
		})
	}
	wg.Wait()
}

// work sends a machine's readings as a device does: a lost connection delays
// them, and the client's window bounds what waits.
func work(ctx context.Context, machine *fleet.Machine, connection string, o device.Options) (err error) {
	client, err := device.New(connection, o)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = client.Close(end) // the node stops as well: what was not acknowledged was not promised
	}()
	tick := time.NewTicker(readingEvery)
	defer tick.Stop()
	for {
		reading := machine.Read(time.Now())
		m := device.Message{ContentType: "application/json", Encoding: "utf-8", Body: reading.AppendJSON(nil)}
		client.SendAsync(ctx, m, func(error) {})
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
