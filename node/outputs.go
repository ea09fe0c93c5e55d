package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/weir-iot/weir/api"
	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/stream/output"
)

// openOutputs makes the outputs of the configuration; the bucket keeps the
// marks of those that keep none themselves.
func (n *Node) openOutputs(bucket blob.Bucket) (map[string]stream.Output, error) {
	n.alerts = &api.Alerts{Device: output.AlertDevice, Decode: decodeAlert}
	all := map[string]stream.Output{}
	for _, alias := range slices.Sorted(maps.Keys(n.config.Outputs)) {
		o, err := n.openOutput(n.config.Outputs[alias], bucket)
		if err != nil {
			return nil, fmt.Errorf("node: outputs.%s: %w", alias, err)
		}
		all[alias] = o
	}
	return all, nil
}

func (n *Node) openOutput(o config.Output, bucket blob.Bucket) (stream.Output, error) {
	switch {
	case o.Alerts != nil:
		return output.NewAlerts(n.store, o.Alerts.TTL, n.publish), nil
	case o.Store != nil:
		ttl := o.Store.TTL
		if ttl == 0 {
			ttl = n.config.Store.TTL
		}
		return output.NewStore(n.store, ttl), nil
	case o.Log != nil:
		i := slices.IndexFunc(n.logs, func(l *namedLog) bool { return l.name == o.Log.Name })
		if i < 0 {
			return nil, fmt.Errorf("there is no log %s", o.Log.Name)
		}
		return output.NewLog(n.logs[i], o.Log.Key, bucket), nil
	case o.File != nil:
		f, err := output.OpenFile(o.File.Path)
		if err != nil {
			return nil, err
		}
		n.files = append(n.files, f)
		return f, nil
	case o.Webhook != nil:
		return output.NewWebhook(output.WebhookOptions{
			URL: o.Webhook.URL, Secret: o.Webhook.Secret, Batch: o.Webhook.Batch, Private: o.Webhook.Private,
		}, bucket)
	case o.Command != nil:
		return output.NewCommand(commander{n.hub}, o.Command.Device, bucket), nil
	default:
		return nil, fmt.Errorf("there is no output of the kind %s", o.Kind())
	}
}

func decodeAlert(d store.Document) (api.Alert, error) {
	a, err := output.DecodeAlert(d)
	return api.Alert(a), err
}

// publish hands alerts that were stored to those who follow.
func (n *Node) publish(added []output.Alert) {
	alerts := make([]api.Alert, len(added))
	for i, a := range added {
		alerts[i] = api.Alert(a)
	}
	n.alerts.Publish(alerts)
}

// commander sends rows of jobs as cloud-to-device messages.
type commander struct{ hub *hub.Hub }

// SendToDevice implements output.Commander.
func (c commander) SendToDevice(ctx context.Context, device, messageID string, body []byte) error {
	m := &hub.CloudMessage{MessageID: messageID, ContentType: "application/json", Encoding: "utf-8", Body: slices.Clone(body)}
	err := c.hub.SendToDevice(ctx, hub.ID{Device: device}, m)
	for _, final := range []error{hub.ErrDeviceNotFound, hub.ErrArgument, hub.ErrTooLarge, hub.ErrQueueFull} {
		if errors.Is(err, final) {
			return fmt.Errorf("%w: %w", stream.ErrRefused, err)
		}
	}
	return err
}
