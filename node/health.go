package node

import (
	"context"
	"fmt"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/config"
)

// health is what /healthz and /readyz tell.
func (n *Node) health(ctx context.Context) api.Health {
	log := n.log.stats()
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
	h.Consumers = n.consumers()
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
	if n.jobs == nil {
		return all
	}
	// Other jobs that fail are their users' matter, and devices are served on.
	if hot, err := n.jobs.Jobs.Job(config.HotJob); err == nil && hot.Stats.LastError != nil {
		all = append(all, fmt.Sprintf("the hot store is behind: %v", hot.Stats.LastError))
	}
	return all
}

// consumers are the jobs, and how many records each has before it.
func (n *Node) consumers() []api.ConsumerHealth {
	if n.jobs == nil {
		return nil
	}
	var all []api.ConsumerHealth
	for _, j := range n.jobs.Jobs.List() {
		c := api.ConsumerHealth{Name: j.Name}
		for _, feed := range j.Stats.Feeds {
			if next := n.logOf(feed.Input).stats().next; feed.Partition < len(next) {
				c.Lag += max(0, next[feed.Partition]-1-feed.Read)
			}
		}
		all = append(all, c)
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
