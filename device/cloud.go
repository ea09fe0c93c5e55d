package device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// A CloudMessage is a cloud-to-device message.
type CloudMessage struct {
	ID, CorrelationID, UserID string
	To                        string
	ContentType, Encoding     string
	Input                     string // of a module; "" for a device
	Ack                       string // the feedback that the sender wants: none, positive, negative, full
	Properties                telemetry.Properties
	Body                      []byte
}

// OnMessage has handle called with cloud-to-device messages. The hub forgets a
// message when handle has returned nil; after an error it comes again on the
// next connection. Handlers of a client run one after the other and may use
// the client.
func (c *Client) OnMessage(handle func(ctx context.Context, m CloudMessage) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox.messages = handle
	c.inbox.start(c)
	c.want(feedMessages)
}

func (c *Client) cloudMessage(s *session, bag []byte, p *mqtt311.Publish) error {
	m := &CloudMessage{Body: bytes.Clone(p.Payload)}
	if c.cred.ModuleID != "" {
		input, rest, _ := bytes.Cut(bag, []byte("/"))
		m.Input, bag = string(input), rest
	}
	if err := m.parse(bytes.Clone(bag)); err != nil {
		return fmt.Errorf("device: reading a cloud-to-device message: %w", err)
	}
	return c.inbox.put(delivery{message: m, session: s, id: p.ID})
}

// parse takes a property bag, whose bytes become m's.
func (m *CloudMessage) parse(b []byte) error {
	bag := mqtt311.NewBag(b)
	for {
		p, ok, err := bag.Next()
		if err != nil || !ok {
			return err
		}
		switch p.Key {
		case "$.mid":
			m.ID = p.Value
		case "$.cid":
			m.CorrelationID = p.Value
		case "$.uid":
			m.UserID = p.Value
		case "$.to":
			m.To = p.Value
		case "$.ct":
			m.ContentType = p.Value
		case "$.ce":
			m.Encoding = p.Value
		case "iothub-ack":
			m.Ack = p.Value
		default:
			if !strings.HasPrefix(p.Key, "$.") {
				m.Properties = append(m.Properties, telemetry.Property{Key: p.Key, Value: p.Value, Null: p.Null})
			}
		}
	}
}

// consume runs the handler and acknowledges.
func (c *Client) consume(d delivery, handle func(context.Context, CloudMessage) error) {
	if err := handle(c.ctx, *d.message); err != nil {
		c.logger.Warn("a cloud-to-device message was not handled, the hub keeps it", "message", d.message.ID, "error", err)
		return
	}
	if d.id != 0 {
		c.reply(d.session, func(b []byte) []byte { return mqtt311.AppendPuback(b, d.id) })
	}
}

const (
	methodPrefix = "$iothub/methods/POST/"
	methodResult = "$iothub/methods/res/"

	// maxCalls bounds the direct methods that run at the same time; one more is
	// answered with statusBusy.
	maxCalls = 32

	statusFailed  = 500
	statusUnknown = 501 // no handler, as the SDKs answer
	statusBusy    = 429
)

// A MethodHandler answers a direct method: a status of its own choice, 200 for
// good, and a reply that marshals to JSON (nil: none). payload is the caller's
// JSON, empty where there is none.
type MethodHandler func(ctx context.Context, payload json.RawMessage) (status int, reply any)

// OnMethod has handle called for the direct method name. Calls run beside one
// another, up to 32. Methods without a handler are answered with status 501.
func (c *Client) OnMethod(name string, handle MethodHandler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inbox.methods[name] = handle
	c.want(feedMethods)
}

// methodCall handles $iothub/methods/POST/{name}/?$rid={rid}.
func (c *Client) methodCall(s *session, rest, payload []byte) error {
	path, query, _ := bytes.Cut(rest, []byte("/?"))
	q, err := parseQuery(query)
	if err != nil || q.rid == "" {
		return fmt.Errorf("device: direct method without a request id: %w", mqtt311.ErrMalformed)
	}
	name := string(mqtt311.Unescape(path))
	c.mu.Lock()
	handle := c.inbox.methods[name]
	busy := c.inbox.calls >= maxCalls
	run := handle != nil && !busy && !c.closing
	if run {
		c.inbox.calls++
		body := bytes.Clone(payload)
		c.wg.Go(func() { c.call(s, q.rid, handle, body) })
	}
	c.mu.Unlock()
	switch {
	case run:
	case handle == nil:
		c.respond(s, q.rid, statusUnknown, map[string]string{"message": "no handler for method " + name})
	default:
		c.respond(s, q.rid, statusBusy, map[string]string{"message": "too many methods are running"})
	}
	return nil
}

func (c *Client) call(s *session, rid string, handle MethodHandler, payload json.RawMessage) {
	status, reply := handle(c.ctx, payload)
	c.mu.Lock()
	c.inbox.calls--
	c.mu.Unlock()
	c.respond(s, rid, status, reply)
}

// respond answers on the connection that the call came by: on another one the
// hub does not know the request id any more.
func (c *Client) respond(s *session, rid string, status int, reply any) {
	var body []byte
	if reply != nil {
		var err error
		if body, err = json.Marshal(reply); err != nil {
			c.logger.Error("the reply to a direct method does not marshal", "error", err)
			status, body = statusFailed, []byte(`{"message":"the reply does not marshal to JSON"}`)
		}
	}
	topic := methodResult + strconv.Itoa(status) + "/?$rid=" + rid
	c.reply(s, func(b []byte) []byte {
		return mqtt311.AppendPublish(b, &mqtt311.Publish{Topic: topic, Payload: body})
	})
}
