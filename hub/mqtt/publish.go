package mqtt

import (
	"bytes"
	"strings"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
	"github.com/weir-iot/weir/telemetry"
)

// publish takes a PUBLISH of the device: telemetry into the batch, the others
// at once. DUP is ignored: a resent message is a message.
func (c *conn) publish(flags uint8, body []byte) error {
	p, err := mqtt311.ParsePublish(flags, body)
	if err != nil {
		return err
	}
	if p.QoS == 2 {
		return errQoS2
	}
	if len(p.Payload) > maxPayload {
		return errTooLarge
	}
	topic := body[2 : 2+len(p.Topic)]
	if bag, ok := c.names.events(p.Topic); ok {
		return c.telemetry(&p, topic[bag:])
	}
	return c.request(&p, topic)
}

// request takes a PUBLISH of the twin and method protocols. It is answered in
// order, behind the connection's reader.
func (c *conn) request(p *mqtt311.Publish, topic []byte) error {
	if err := c.send(); err != nil {
		return err
	}
	t := task{ack: p.QoS > 0, id: p.ID}
	if query, ok := strings.CutPrefix(p.Topic, topicTwinGet); ok {
		rid, err := requestID(topic[len(topic)-len(query):])
		if err != nil {
			return err
		}
		rid = strings.Clone(rid)
		t.do = func() error { c.twinGet(rid); return nil }
		t.size = len(rid)
		return c.work(t)
	}
	if query, ok := strings.CutPrefix(p.Topic, topicReported); ok {
		rid, err := requestID(topic[len(topic)-len(query):])
		if err != nil {
			return err
		}
		rid = strings.Clone(rid)
		patch := bytes.Clone(p.Payload)
		t.do = func() error { c.twinReport(rid, patch); return nil }
		t.size = len(rid) + len(patch)
		return c.work(t)
	}
	if rest, ok := strings.CutPrefix(p.Topic, topicResponse); ok {
		if err := c.methodResponse(topic[len(topic)-len(rest):], p.Payload); err != nil || !t.ack {
			return err
		}
		return c.work(t)
	}
	return errTopic
}

// systemKey maps the name of a system property in a bag to that of a
// Message. Message id, content type and encoding have fields of their own; the
// identity ($.cdid, $.cmid) is never the sender's to say.
func systemKey(name string) (key string, ok bool) {
	switch name {
	case "$.cid":
		return telemetry.CorrelationID, true
	case "$.uid":
		return telemetry.UserID, true
	case "$.to":
		return telemetry.To, true
	case "$.exp":
		return telemetry.Expiry, true
	case "$.on":
		return telemetry.OutputName, true
	case "$.ctime":
		return telemetry.CreationTime, true
	case "$.sub":
		return telemetry.Subject, true
	case "$.ifid":
		return telemetry.InterfaceID, true
	case "$.schema":
		return telemetry.MessageSchema, true
	case "iothub-operation":
		return telemetry.Operation, true
	case "iothub-ack", "ack":
		return telemetry.Acknowledgment, true
	}
	return "", false
}

// properties reads a bag into m: system properties go to m.System, the others
// to m.Properties, appended to sys and app.
func properties(m *telemetry.Message, bag mqtt311.Bag, sys, app []telemetry.Property) ([]telemetry.Property, []telemetry.Property, error) {
	sys0, app0 := len(sys), len(app)
	for {
		p, ok, err := bag.Next()
		if err != nil {
			return sys, app, err
		}
		if !ok {
			break
		}
		switch p.Key {
		case "$.mid":
			m.MessageID = p.Value
		case "$.ct":
			m.ContentType = p.Value
		case "$.ce":
			m.Encoding = p.Value
		case "$.cdid", "$.cmid":
		default:
			if key, ok := systemKey(p.Key); ok {
				sys = append(sys, telemetry.Property{Key: key, Value: p.Value, Null: p.Null})
			} else {
				app = append(app, telemetry.Property{Key: p.Key, Value: p.Value, Null: p.Null})
			}
		}
	}
	if n := len(sys); n > sys0 {
		sys = append(sys, make([]telemetry.Property, hub.StampedProperties)...) // room for the hub's
		m.System = sys[sys0:n:len(sys)]
	}
	if len(app) > app0 {
		m.Properties = app[app0:len(app):len(app)]
	}
	return sys, app, nil
}
