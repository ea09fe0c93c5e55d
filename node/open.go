package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/blob"
	blobdir "github.com/weir-iot/weir/blob/dir"
	blobmem "github.com/weir-iot/weir/blob/mem"
	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/eventlog/disk"
	logmem "github.com/weir-iot/weir/eventlog/mem"
	hubmem "github.com/weir-iot/weir/hub/mem"
	"github.com/weir-iot/weir/hub/mqtt"
	hubpebble "github.com/weir-iot/weir/hub/pebble"
	storemem "github.com/weir-iot/weir/store/mem"
	storepebble "github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/web"
)

// hotConsumer names the consumer from log to hot store.
const hotConsumer = "hot"

// place is the folder of a file: URL; dir is the default in the data folder.
// ok is false for mem.
func place(url, data, dir string) (path string, ok bool, err error) {
	if url == "" {
		return filepath.Join(data, dir), true, nil
	}
	switch scheme, path, _ := config.SplitURL(url); scheme {
	case "file":
		return filepath.FromSlash(path), true, nil
	case "mem":
		return "", false, nil
	default:
		return "", false, fmt.Errorf("node: %s: there is no engine %s", dir, scheme)
	}
}

// openEngines opens logs, registry and store, the logs first: they take longest,
// and what they say matters most.
func (n *Node) openEngines() error {
	if err := n.openLogs(); err != nil {
		return err
	}
	if err := n.openRegistry(); err != nil {
		return err
	}
	if err := n.openStore(); err != nil {
		return err
	}
	return nil
}

// remedy adds to an error of opening dir, the place of key, what to do about it.
func remedy(err error, dir, key string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: the disk of %s is full: free space there, or choose another folder with --data or %s", err, dir, key)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %s is a file where weir wants a folder: move it away", err, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: run weir as the user that owns %s, or choose another folder with --data or %s", err, dir, key)
	}
	return err
}

// openLogs opens the log of telemetry and all others.
func (n *Node) openLogs() error {
	var required []string
	if n.config.Does(config.RoleStream) {
		required = []string{hotConsumer}
	}
	first, err := n.openLog(config.Telemetry, n.config.Log, "log", required)
	if err != nil {
		return err
	}
	n.log, n.logs = first, []*namedLog{first}
	for _, name := range slices.Sorted(maps.Keys(n.config.Logs)) {
		l, err := n.openLog(name, n.config.Logs[name], filepath.Join("logs", name), nil)
		if err != nil {
			return err
		}
		n.logs = append(n.logs, l)
	}
	return nil
}

// openLog opens one log, whose default folder is dir in the data folder.
func (n *Node) openLog(name string, c config.Log, dir string, required []string) (*namedLog, error) {
	dir, file, err := place(c.URL, n.config.Data, dir)
	if err != nil {
		return nil, err
	}
	if !file {
		return &namedLog{
			Log: logmem.New(logmem.Options{Partitions: c.Partitions}), name: name,
			stats: func() logStats { return logStats{engine: "mem"} },
		}, nil
	}
	levels := map[string]disk.Level{"sync": disk.Sync, "interval": disk.Interval(c.Interval), "memory": disk.Memory}
	l, err := disk.Open(dir, disk.Options{
		Partitions: c.Partitions, SegmentBytes: int64(c.Segment), Level: levels[c.Level],
		MaxAge: c.Retention.Age, MaxBytes: int64(c.Retention.Size), Required: required,
		Logger: n.logger, Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"log": name}, n.metrics),
	})
	if err != nil {
		key := "log"
		if name != config.Telemetry {
			key = "logs." + name
		}
		if errors.Is(err, syscall.ENOSPC) {
			return nil, fmt.Errorf("%w: the log reserves %s.segment (%s) ahead: free as much on the disk of %s, make it smaller, or choose another folder with --data or %s", err, key, c.Segment, dir, key)
		}
		return nil, remedy(err, dir, key)
	}
	return &namedLog{Log: l, name: name, stats: func() logStats {
		s := l.Stats()
		out := logStats{engine: "disk", failed: s.Failed, waiting: s.Withheld, details: s}
		for _, p := range s.Partitions {
			out.next = append(out.next, p.Next)
		}
		return out
	}}, nil
}

func (n *Node) openRegistry() error {
	dir, file, err := place(n.config.Registry, n.config.Data, "registry")
	if err != nil {
		return err
	}
	if !file {
		n.registry = hubmem.New()
		return nil
	}
	r, err := hubpebble.Open(dir, hubpebble.Options{Logger: n.logger})
	if err != nil {
		return remedy(err, dir, "registry") // n.registry stays nil, which a nil *Registry in it would not be
	}
	n.registry = r
	return nil
}

func (n *Node) openStore() error {
	dir, file, err := place(n.config.Store.URL, n.config.Data, "store")
	if err != nil {
		return err
	}
	if !file {
		n.store = storemem.New(nil)
		return nil
	}
	s, err := storepebble.Open(dir, storepebble.Options{CacheBytes: int64(n.config.Store.Cache), Logger: n.logger, Metrics: n.metrics})
	if err != nil {
		return remedy(err, dir, "store")
	}
	n.store = s
	return nil
}

// openBucket opens where jobs keep their state: beside the logs that it is
// about, in memory where that of telemetry is.
func (n *Node) openBucket() (blob.Bucket, error) {
	if _, file, err := place(n.config.Log.URL, n.config.Data, "log"); err != nil || !file {
		return blobmem.New(), err
	}
	dir := filepath.Join(n.config.Data, "checkpoints")
	b, err := blobdir.Open(dir)
	return b, remedy(err, dir, "--data")
}

// openDoors makes what stands before and behind the hub.
func (n *Node) openDoors(ctx context.Context, version string) (err error) {
	options := stream.HotOptions{Consumer: hotConsumer, TTL: n.config.Store.TTL, FlushEvery: n.config.Store.Flush, Speaks: newSpeaker(n.hub).speaks, Logger: n.logger, Metrics: n.metrics}
	if l := n.log.retainer(); l != nil {
		options.Require = func(durable map[int]int64) { l.Require(hotConsumer, durable) }
	}
	n.hot = stream.NewHot(n.log, n.store, options)
	var served api.Jobs
	if n.config.Does(config.RoleStream) {
		if err := n.openJobs(ctx); err != nil {
			return err
		}
		served = n.jobs
	}
	n.mqtt = mqtt.NewServer(n.hub, mqtt.Options{Connections: n.config.Limits.Connections, Logger: n.logger, Metrics: n.metrics})
	n.api, err = api.New(api.Options{
		Store: n.store, Log: n.log, Hub: n.hub, Jobs: served, Alerts: n.alerts, Health: n.health, Web: web.Handler(), Token: n.config.API.Token,
		AllowedHosts: []string{n.config.Hub.HostName}, Version: version, Gatherer: n.metrics, Metrics: n.metrics, Logger: n.logger,
	})
	return err
}

// newRegistry returns the metrics of this node, those of the process included.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
