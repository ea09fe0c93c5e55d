package node

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/internal/refdata"
	"github.com/weir-iot/weir/internal/solution"
	"github.com/weir-iot/weir/stream"
)

// references are the files of reference data of a configuration, by alias.
type references map[string]*refdata.Table

func loadReferences(c *config.Config) (references, error) {
	all := references{}
	for _, alias := range slices.Sorted(maps.Keys(c.Inputs)) {
		r := c.Inputs[alias].Reference
		if r == nil {
			continue
		}
		table, err := refdata.Load(r.File, r.Format)
		if err != nil {
			return nil, fmt.Errorf("node: input %s: %w", alias, err)
		}
		all[alias] = table
	}
	return all, nil
}

// referenceEvery is how often a file of reference data is looked at.
const referenceEvery = 5 * time.Second

// follow reads files that change, until ctx ends.
func (r references) follow(ctx context.Context, n *Node) {
	tick := time.NewTicker(referenceEvery)
	defer tick.Stop()
	told := map[string]string{}
	for len(r) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, alias := range slices.Sorted(maps.Keys(r)) {
			changed, err := r[alias].Refresh()
			switch {
			case changed:
				n.logger.Info("reference data changed", "input", alias)
				told[alias] = ""
			case err != nil && told[alias] != err.Error():
				told[alias] = err.Error()
				n.logger.Error("reference data cannot be read; the last version stays", "input", alias, "error", err)
			}
		}
	}
}

// environment is what the queries of a configuration may name.
func environment(c *config.Config, tables references, functions stream.Functions) stream.Environment {
	env := stream.Environment{
		Inputs: map[string]stream.Input{}, Outputs: slices.Sorted(maps.Keys(c.Outputs)), Functions: functions, Implicit: true,
	}
	for alias := range c.Inputs {
		env.Inputs[alias] = stream.Input{}
		if table := tables[alias]; table != nil {
			env.Inputs[alias] = stream.Input{Reference: table}
		}
	}
	return env
}

// queryOf reads the query of a job of the configuration.
func queryOf(j config.Job) (string, error) {
	if j.Query == "" { // only hot may have none
		return solution.Hot, nil
	}
	text, err := os.ReadFile(j.Query)
	if err != nil {
		return "", fmt.Errorf("reading the query: %w: check query in the configuration", err)
	}
	return string(text), nil
}
