package node

import (
	"context"
	"fmt"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/config"
)

// health is what /healthz and /readyz tell.
func (n *Node) health(ctx context.Context) api.Health {
	log, hot := n.log.stats(), n.hot.Stats()
	h := api.Health{
		Problems: n.problems(),
		Starting: !n.ready.Load(),
		Log:      api.LogHealth{Engine: log.engine, Durability: n.config.Log.Level, Partitions: n.config.Log.Partitions, Stats: log.details},
		Store:    api.StoreHealth{Engine: engineOf(n.config.Store.URL, "pebble")},
	}
	if log.engine == "mem" {
		h.Log.Durability = "memory"
	}
	if len(log.next) > 0 {
		h.Log.Partitions = len(log.next)
	}
	if n.config.Does(config.RoleStream) {
		h.Consumers = []api.ConsumerHealth{{Name: hotConsumer}}
		for p, next := range log.next {
			if p < len(hot.Partitions) {
				h.Consumers[0].Lag += max(0, next-1-hot.Partitions[p].Applied)
			}
		}
	}
	statistics, err := n.hub.Statistics(ctx)
	if err != nil && ctx.Err() == nil {
		h.Problems = append(h.Problems, fmt.Sprintf("the registry cannot be read: %v", err))
	}
	h.Devices = api.DeviceHealth{Total: statistics.Total, Connected: statistics.Connected}
	return h
}

// problems are what an operator must mend, in words; looking costs nothing.
func (n *Node) problems() []string {
	var all []string
	for _, l := range n.logs {
		log := l.stats()
		if log.failed != nil {
			all = append(all, fmt.Sprintf("the log %s takes no more messages: %v", l.name, log.failed))
		}
		if log.waiting != "" {
			all = append(all, fmt.Sprintf("acknowledgements of the log %s are withheld: %s", l.name, log.waiting))
		}
	}
	if err := n.hot.Stats().LastError; err != nil {
		all = append(all, fmt.Sprintf("the hot store is behind: %v", err))
	}
	return all
}

// engineOf names the engine of a URL for health; file is the name of that on disk.
func engineOf(url, file string) string {
	if url == "mem" || url == "mem:" {
		return "mem"
	}
	return file
}
