// Package telemetry is the vocabulary that every stage hands on: the Message,
// as the hub received it and as the log keeps it. It promises nothing about
// storage or transport and imports the standard library only.
package telemetry

import (
	"slices"
	"strings"
	"time"
)

// Source says which of IoT Hub's message sources a Message came from. Its
// String is the value of the annotation iothub-message-source.
type Source uint8

const (
	Telemetry Source = iota
	TwinChange
	Lifecycle
	ConnectionState
)

func (s Source) String() string {
	switch s {
	case TwinChange:
		return "twinChangeEvents"
	case Lifecycle:
		return "deviceLifecycleEvents"
	case ConnectionState:
		return "deviceConnectionStateEvents"
	default:
		return "Telemetry"
	}
}

// The keys of Message.System, named as IoT Hub's Event Hubs endpoint names
// them. Message id, content type and content encoding have fields of their own.
const (
	CorrelationID  = "correlation-id"
	UserID         = "user-id"
	To             = "to"
	Expiry         = "absolute-expiry-time"
	CreationTime   = "iothub-creation-time-utc"
	OutputName     = "iothub-outputname"
	Subject        = "dt-subject"
	DataSchema     = "dt-dataschema"
	InterfaceID    = "iothub-interface-id"
	AuthMethod     = "iothub-connection-auth-method"
	GenerationID   = "iothub-connection-auth-generation-id"
	MessageSchema  = "iothub-message-schema"
	Operation      = "iothub-operation"
	Acknowledgment = "iothub-ack"
)

// A Property is one name and value. IoT Hub's property bags tell an absent
// value ("key") from an empty one ("key="): Null is the absent one.
type Property struct {
	Key, Value string
	Null       bool
}

// Properties keep the order in which the sender gave them.
type Properties []Property

// Get returns the value of the first property named key.
func (p Properties) Get(key string) (value string, ok bool) {
	for i := range p {
		if p[i].Key == key {
			return p[i].Value, true
		}
	}
	return "", false
}

// Clone returns a copy that shares no memory with p.
func (p Properties) Clone() Properties {
	if p == nil {
		return nil
	}
	c := make(Properties, len(p))
	for i := range p {
		c[i] = Property{strings.Clone(p[i].Key), strings.Clone(p[i].Value), p[i].Null}
	}
	return c
}

// A Message is what a device sent, or what the hub says about a device. Stages
// pass it on by value and never change it; strings and slices may point into a
// buffer that its giver reuses, so who keeps a Message keeps a Clone.
type Message struct {
	DeviceID, ModuleID string // the sender as the hub authenticated it
	MessageID          string // the id that the sender chose, or ""
	ContentType        string // MIME type, or ""
	Encoding           string // content encoding (utf-8, …), or ""
	System             Properties
	Properties         Properties // application properties, in order; no stage changes them
	Source             Source
	Body               []byte // opaque until a query decodes it

	// The log sets these three.
	Partition  int
	Seq        int64     // sequence number: grows by one within a partition, from 0
	EnqueuedAt time.Time // EventEnqueuedUtcTime; never decreases within a partition
}

// Clone returns a copy that shares no memory with m.
func (m *Message) Clone() Message {
	c := *m
	c.DeviceID = strings.Clone(m.DeviceID)
	c.ModuleID = strings.Clone(m.ModuleID)
	c.MessageID = strings.Clone(m.MessageID)
	c.ContentType = strings.Clone(m.ContentType)
	c.Encoding = strings.Clone(m.Encoding)
	c.System = m.System.Clone()
	c.Properties = m.Properties.Clone()
	c.Body = slices.Clone(m.Body)
	return c
}

// Size is the number of bytes of m's strings and body: what budgets count.
func (m *Message) Size() int {
	n := len(m.DeviceID) + len(m.ModuleID) + len(m.MessageID) + len(m.ContentType) + len(m.Encoding) + len(m.Body)
	for i := range m.System {
		n += len(m.System[i].Key) + len(m.System[i].Value)
	}
	for i := range m.Properties {
		n += len(m.Properties[i].Key) + len(m.Properties[i].Value)
	}
	return n
}
