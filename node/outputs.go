package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/stream"
)

// alertDevice is the device under which the hot store keeps alerts. No payload
// can name it; the hub does not register it.
const alertDevice = "$alert"

// openOutputs makes the outputs of the configuration.
func (n *Node) openOutputs() (map[string]stream.Output, error) {
	n.alerts = &api.Alerts{Device: alertDevice, Decode: decodeAlert}
	all := map[string]stream.Output{}
	for _, alias := range slices.Sorted(maps.Keys(n.config.Outputs)) {
		switch o := n.config.Outputs[alias]; {
		case o.Alerts != nil:
			all[alias] = &alertOutput{n.store, n.alerts, o.Alerts.TTL}
		case o.Store != nil && alias == hotConsumer:
			all[alias] = &alertOutput{n.store, n.alerts, n.config.Store.TTL}
		default:
			return nil, fmt.Errorf("node: outputs.%s: the kind %s is not there yet", alias, o.Kind())
		}
	}
	return all, nil
}

// decodeAlert reads what alertOutput stored.
func decodeAlert(d store.Document) (a api.Alert, err error) {
	return a, json.Unmarshal(d.Data, &a)
}

// alertOutput keeps rows as alerts in the hot store, with the mark of the shard
// in the same batch, and hands them to those who follow.
type alertOutput struct {
	store  store.Store
	alerts *api.Alerts
	ttl    time.Duration
}

// consumer names the marks of a shard's output.
func consumer(s stream.Shard) string {
	return fmt.Sprintf("job/%s/%s/%s", s.Job, s.Generation, s.Output)
}

func (o *alertOutput) Mark(ctx context.Context, s stream.Shard) (stream.Ordinal, error) {
	n, err := o.store.Mark(ctx, consumer(s), s.Shard)
	return stream.Ordinal(n), err
}

func (o *alertOutput) Write(ctx context.Context, s stream.Shard, rows []stream.OutputRow) error {
	docs, added := make([]store.Document, len(rows)), make([]api.Alert, len(rows))
	for i, r := range rows {
		a := api.Alert{
			ID:  s.RowID(r.Ordinal),
			Job: s.Job, Into: s.Output, Time: r.Time.Time().UTC(), Row: bytes.Clone(r.Data),
		}
		data, err := json.Marshal(a)
		if err != nil {
			return fmt.Errorf("%w: %w", stream.ErrRefused, err)
		}
		docs[i] = store.Document{ID: a.ID, DeviceID: alertDevice, Time: a.Time, Expires: a.Time.Add(o.ttl), Data: data}
		added[i] = a
	}
	mark := store.Mark{Consumer: consumer(s), Shard: s.Shard, Ordinal: int64(rows[len(rows)-1].Ordinal)}
	if err := o.store.Upsert(ctx, docs, mark); err != nil {
		return err
	}
	o.alerts.Publish(added)
	return nil
}

func (o *alertOutput) Flush(ctx context.Context) error { return o.store.Flush(ctx) }
