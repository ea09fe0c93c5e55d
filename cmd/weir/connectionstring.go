package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/sas"
	"github.com/weir-iot/weir/node"
)

func newConnectionString(g *globals) *cobra.Command {
	var policy string
	c := &cobra.Command{
		Use:   "connection-string",
		Short: "Print the connection string of a policy, for service SDKs",
		Long: `Print the connection string of a shared access policy, for service SDKs and
tools. The policies are those of every IoT Hub: iothubowner (everything), service
(twins, methods, messages to devices), device (speaks for any device),
registryRead and registryReadWrite.

The string holds a key: treat it as a password. That of a single device is
printed by: weir device show ID --json`,
		Example: `  weir connection-string
  weir connection-string --policy registryRead --json
  export WEIR_CONNECTION_STRING="$(weir connection-string)"`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return g.connectionString(policy) },
	}
	c.Flags().StringVar(&policy, "policy", "iothubowner", "the `NAME` of the policy")
	return c
}

func (g *globals) connectionString(policy string) error {
	file, err := g.load()
	if err != nil {
		return err
	}
	host := file.Hub.HostName
	state, err := node.ReadState(file.Data)
	if err == nil {
		host = state.ServiceHost()
	} else if !errors.Is(err, node.ErrNotRunning) {
		return err
	}
	cs, err := policyConnection(file.Data, host, policy)
	if err != nil {
		return err
	}
	v := struct {
		Policy           string `json:"policy"`
		ConnectionString string `json:"connectionString"`
	}{policy, cs.Encode()}
	return g.print(v, func(w io.Writer) { fmt.Fprintln(w, v.ConnectionString) })
}

// policyConnection reads the policies of a data folder; it never makes them.
func policyConnection(dir, host, policy string) (sas.ConnectionString, error) {
	path := node.PolicyFile(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return sas.ConnectionString{}, fmt.Errorf("the data folder %s has no policies yet: %w", dir, node.ErrNotRunning)
	}
	policies, err := hub.LoadPolicies(path)
	if err != nil {
		return sas.ConnectionString{}, err
	}
	text, err := policies.ConnectionString(policy, host)
	var unknown *hub.Error
	if errors.As(err, &unknown) {
		return sas.ConnectionString{}, fmt.Errorf("--policy: %s", unknown.Message)
	}
	if err != nil {
		return sas.ConnectionString{}, err
	}
	return sas.ParseConnectionString(text)
}
