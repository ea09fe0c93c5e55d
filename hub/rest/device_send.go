package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

// batchType is the Content-Type of many messages in one request.
const batchType = "application/vnd.microsoft.iothub.json"

// Bounds of device-to-cloud requests in bytes. IoT Hub takes 256 KB of
// messages at once; a batch is a third larger by its base64.
const (
	maxEvents = 256 << 10
	maxBatch  = 512 << 10
)

// connect authenticates the device or module of the path for this request. A
// session without a connection costs one look-up, and made anew for each
// request it sees at once that a key was changed or a device disabled.
func (c *call) connect() (*hub.Session, error) {
	cred := hub.Credential{
		ID:         c.id,
		HostName:   c.Host,
		Token:      c.Header.Get("Authorization"),
		ClientType: c.UserAgent(),
		Protocol:   "https",
		RemoteAddr: c.RemoteAddr,
	}
	if c.TLS != nil {
		cred.Certificates = c.TLS.PeerCertificates
	}
	return c.hub.Connect(c.Context(), cred, nil)
}

// sendEvents is POST /devices/{id}[/modules/{mid}]/messages/events: one message
// whose body is the request's, or a batch. 204 says that all are durable.
func (c *call) sendEvents() error {
	s, err := c.connect()
	if err != nil {
		return err
	}
	defer s.Close()
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	msgs, err := c.events(buf)
	if err != nil {
		buffers.Put(buf)
		return err
	}
	settled, err := send(c.Context(), s, msgs)
	if settled {
		buffers.Put(buf) // else the log still has it
	}
	if err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

// buffers hold bodies until their messages are durable.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// send waits until the messages are durable or refused. settled is false where
// the request ran out of time before.
func send(ctx context.Context, s *hub.Session, msgs []telemetry.Message) (settled bool, err error) {
	result := make(chan error, 1)
	s.Send(ctx, msgs, func(err error) { result <- err })
	select {
	case err := <-result:
		return true, err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// events reads the messages of the request; they point into buf.
func (c *call) events(buf *bytes.Buffer) ([]telemetry.Message, error) {
	batch := false
	if t := c.Header.Get("Content-Type"); strings.HasPrefix(strings.ToLower(t), batchType) {
		media, _, err := mime.ParseMediaType(t)
		batch = err == nil && media == batchType
	}
	limit := int64(maxEvents)
	if batch {
		limit = maxBatch
	}
	if err := c.read(buf, limit); err != nil {
		return nil, err
	}
	if batch {
		return parseBatch(buf.Bytes())
	}
	msgs := make([]telemetry.Message, 1)
	msgs[0].Body = buf.Bytes()
	return msgs, fromHeaders(&msgs[0], c.Header)
}

// A batchItem is one message of a batch.
type batchItem struct {
	Body          string             `json:"body"`
	Base64Encoded *bool              `json:"base64Encoded"` // the C SDK sends text as it is, with false
	Properties    map[string]*string `json:"properties"`
}

// parseBatch reads the body of a batch.
func parseBatch(b []byte) ([]telemetry.Message, error) {
	var items []batchItem
	if err := unmarshal(b, &items); err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, hub.ErrArgument.With("the batch has no messages")
	}
	size := 0
	msgs := make([]telemetry.Message, len(items))
	for i, item := range items {
		if err := item.message(&msgs[i]); err != nil {
			return nil, hub.ErrArgument.With("message %d of the batch: %v", i, err)
		}
		if size += msgs[i].Size(); size > maxEvents {
			return nil, hub.ErrTooLarge.With("the messages of the batch have more than %d bytes", maxEvents)
		}
	}
	return msgs, nil
}

func (item *batchItem) message(m *telemetry.Message) (err error) {
	if item.Base64Encoded != nil && !*item.Base64Encoded {
		m.Body = []byte(item.Body)
	} else if m.Body, err = base64.StdEncoding.DecodeString(item.Body); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(item.Properties)) {
		value := item.Properties[name]
		if value == nil {
			key := name
			if strings.HasPrefix(strings.ToLower(name), appPrefix) {
				key = name[len(appPrefix):]
			}
			m.Properties = append(m.Properties, telemetry.Property{Key: key, Null: true})
		} else if !set(m, name, *value) {
			m.Properties = append(m.Properties, telemetry.Property{Key: name, Value: *value})
		}
	}
	return nil
}
