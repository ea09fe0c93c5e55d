// Package hub is what devices talk to: authentication, the device registry,
// twins, direct methods and cloud-to-device messages, with the rules of Azure
// IoT Hub. It promises that what it answers is durable, and that a device's
// rights end within a second of their being taken away. Protocols are doors
// beside it (hub/mqtt, hub/rest): they translate, the rules live here.
package hub

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// An ID names a device, or a module of a device where Module is not "".
type ID struct{ Device, Module string }

// String is "device" or "device/module".
func (id ID) String() string {
	if id.Module == "" {
		return id.Device
	}
	return id.Device + "/" + id.Module
}

// Options configure a Hub. Registry, Log and Policies are required.
type Options struct {
	Registry Registry
	Log      eventlog.Appender
	Policies *Policies
	HostName string                // what the hub calls itself in twins and connection strings; default "localhost"
	Now      func() time.Time      // default time.Now
	Logger   *slog.Logger          // default: discards
	Metrics  prometheus.Registerer // default: none
	// InFlight bounds the bytes of messages that wait for durability, of all
	// devices together; Send blocks beyond it. Default 64 MiB.
	InFlight int
	Limits   Limits // zero fields take IoT Hub's own limits
}

// A Credential is what a device shows when it connects.
type Credential struct {
	ID           ID
	HostName     string // the hub host that the device named: any host is accepted in a token whose signature is right
	Token        string // shared access signature, or "" with a certificate
	Certificates []*x509.Certificate
	ModelID      string // digital twin model that the device announced, or ""
	ClientType   string // the SDK's product info, for the log
	Protocol     string // "mqtt", "mqtt-ws", "https"
	RemoteAddr   string
}

// A Receiver is how the hub reaches a connected device; a door implements it.
// Calls come from the hub's goroutines, one at a time, in order; they must
// return soon and must not call the Session.
type Receiver interface {
	// CloudToDevice hands out a message that is locked for this session until
	// Complete, Reject or Abandon names its LockToken.
	CloudToDevice(m *CloudMessage)
	// Desired hands out a patch of desired properties with its $version inside.
	Desired(version int64, patch []byte)
	// Invoke hands out a direct method; the device answers with Session.Respond.
	Invoke(call *MethodCall)
	// Disconnect tells the door to close the connection: a newer connection,
	// an expired token, a disabled or deleted device, a changed key, shutdown.
	// The session is closed already.
	Disconnect(reason error)
}

// A Feed is something that a connected device subscribes to.
type Feed uint8

const (
	FeedCloudToDevice Feed = 1 << iota
	FeedMethods
	FeedDesired
)

// Connect authenticates a device or module and makes it the one live session of
// its ID: an older session is told to disconnect with ErrReplaced. A nil
// receiver makes a session without a connection (device HTTPS): it replaces
// nobody, and cloud-to-device messages are pulled with Receive.
// The error is an *Error: ErrUnauthorized for every bad credential, unknown or
// disabled device alike.
func (h *Hub) Connect(ctx context.Context, c Credential, r Receiver) (*Session, error) {
	return h.connect(ctx, c, r)
}

// Send stamps the messages with the session's identity and appends them to the
// log, as eventlog.Appender does: done runs once, in call order, after they are
// durable or refused. Send blocks while the hub's byte budget is full, which is
// what pushes back on devices; it fails at once when the session is closed.
// The log borrows msgs until done.
func (s *Session) Send(ctx context.Context, msgs []telemetry.Message, done func(error)) {
	s.send(ctx, msgs, done)
}

// ID returns who is connected.
func (s *Session) ID() ID { return s.id }

// Twin returns the device's view of its twin, as JSON:
// {"desired":{…,"$version":n},"reported":{…,"$version":n}}.
func (s *Session) Twin(ctx context.Context) (json.RawMessage, error) { return s.twin(ctx) }

// Report merges a patch into the reported properties and returns their new version.
func (s *Session) Report(ctx context.Context, patch []byte) (version int64, err error) {
	return s.report(ctx, patch)
}

// Subscribe starts feeds (Unsubscribe stops them). Cloud-to-device messages
// that wait are handed to the Receiver at once.
func (s *Session) Subscribe(ctx context.Context, f Feed) error { return s.subscribe(ctx, f) }

// Unsubscribe stops feeds; messages handed out and not settled return to the queue.
func (s *Session) Unsubscribe(ctx context.Context, f Feed) error { return s.unsubscribe(ctx, f) }

// Receive locks and returns the oldest waiting cloud-to-device message, nil if
// there is none.
func (s *Session) Receive(ctx context.Context) (*CloudMessage, error) { return s.receive(ctx) }

// Complete removes a locked message; Reject dead-letters it; Abandon returns it
// to the queue. ErrLockLost if the lock is no longer held.
func (s *Session) Complete(ctx context.Context, lockToken string) error {
	return s.settle(ctx, lockToken, settleComplete)
}

// Reject: see Complete.
func (s *Session) Reject(ctx context.Context, lockToken string) error {
	return s.settle(ctx, lockToken, settleReject)
}

// Abandon: see Complete.
func (s *Session) Abandon(ctx context.Context, lockToken string) error {
	return s.settle(ctx, lockToken, settleAbandon)
}

// Respond answers a direct method call; an unknown rid is ignored (it timed out).
func (s *Session) Respond(rid string, status int, payload []byte) { s.respond(rid, status, payload) }

// Close ends the session: what it held locked returns to the queue, and the
// device is disconnected unless a newer session took over. Close twice is fine.
func (s *Session) Close() { s.close() }

// A CloudMessage is a cloud-to-device message.
type CloudMessage struct {
	MessageID, CorrelationID, UserID string
	To                               string // /devices/{id}/messages/devicebound
	ContentType, Encoding            string
	Ack                              string // "none", "positive", "negative", "full"
	Properties                       telemetry.Properties
	Body                             []byte
	Enqueued, Expires                time.Time
	Sequence                         int64 // set by the queue, as the two below
	LockToken                        string
	DeliveryCount                    int
}

// A MethodCall is a direct method on its way to a device.
type MethodCall struct {
	RequestID string
	Name      string
	Payload   []byte // JSON or empty
}

// A MethodRequest is what a service asks for.
type MethodRequest struct {
	Name            string
	Payload         json.RawMessage // may be nil
	ConnectTimeout  time.Duration   // wait this long for the device to connect; 0: it must be connected
	ResponseTimeout time.Duration   // 0: 30 s
}

// A MethodResponse is what the device answered.
type MethodResponse struct {
	Status  int
	Payload json.RawMessage // may be nil
}

// A Permission is what a policy allows.
type Permission uint8

const (
	RegistryRead Permission = 1 << iota
	RegistryWrite
	ServiceConnect
	DeviceConnect
)

// Authorize checks the Authorization header of a service call: a shared access
// signature of a policy that has all of need, for a resource that covers
// resource (the path: "" for the hub, "devices/d1" …).
func (h *Hub) Authorize(authorization, resource string, need Permission) error {
	return h.authorize(authorization, resource, need)
}

// The registry, for services. A Device's JSON form is that of the service REST
// API 2021-04-12; ifMatch is the value of If-Match without quotes: "" absent,
// "*" any.

// Device returns one identity (device or module). ErrDeviceNotFound, ErrModuleNotFound.
func (h *Hub) Device(ctx context.Context, id ID) (*Device, error) { return h.device(ctx, id) }

// Devices returns up to max devices in order of id; Modules those of one device.
func (h *Hub) Devices(ctx context.Context, max int) ([]*Device, error) { return h.devices(ctx, max) }

// Modules: see Devices.
func (h *Hub) Modules(ctx context.Context, deviceID string) ([]*Device, error) {
	return h.modules(ctx, deviceID)
}

// PutDevice creates (ifMatch "") or updates an identity. ErrDeviceAlreadyExists,
// ErrModuleAlreadyExists, ErrDeviceNotFound, ErrPrecondition, ErrArgument.
func (h *Hub) PutDevice(ctx context.Context, d *Device, ifMatch string) (*Device, error) {
	return h.putDevice(ctx, d, ifMatch)
}

// DeleteDevice removes an identity with its modules, twin and queue.
// ErrPrecondition also where ifMatch is "".
func (h *Hub) DeleteDevice(ctx context.Context, id ID, ifMatch string) error {
	return h.deleteDevice(ctx, id, ifMatch)
}

// TwinOf returns a twin as services see it.
func (h *Hub) TwinOf(ctx context.Context, id ID) (*Twin, error) { return h.twinOf(ctx, id) }

// PatchTwin merges a JSON patch {"tags":{…},"properties":{"desired":{…}}};
// ReplaceTwin replaces those parts. Both send desired properties to a device that listens.
func (h *Hub) PatchTwin(ctx context.Context, id ID, patch []byte, ifMatch string) (*Twin, error) {
	return h.patchTwin(ctx, id, patch, ifMatch, false)
}

// ReplaceTwin: see PatchTwin.
func (h *Hub) ReplaceTwin(ctx context.Context, id ID, twin []byte, ifMatch string) (*Twin, error) {
	return h.patchTwin(ctx, id, twin, ifMatch, true)
}

// Invoke calls a direct method. ErrDeviceNotOnline, ErrGatewayTimeout, ErrArgument.
func (h *Hub) Invoke(ctx context.Context, id ID, r MethodRequest) (*MethodResponse, error) {
	return h.invoke(ctx, id, r)
}

// SendToDevice queues a cloud-to-device message durably. ErrQueueFull, ErrDeviceNotFound.
func (h *Hub) SendToDevice(ctx context.Context, id ID, m *CloudMessage) error {
	return h.sendToDevice(ctx, id, m)
}

// PurgeQueue removes the waiting messages of a device and returns how many.
func (h *Hub) PurgeQueue(ctx context.Context, deviceID string) (int, error) {
	return h.purgeQueue(ctx, deviceID)
}

// Feedback locks and returns the next batch of feedback records, nil if there
// is none; SettleFeedback removes it (complete) or returns it.
func (h *Hub) Feedback(ctx context.Context) (*FeedbackBatch, error) { return h.feedback(ctx) }

// SettleFeedback: see Feedback.
func (h *Hub) SettleFeedback(ctx context.Context, lockToken string, complete bool) error {
	return h.settleFeedback(ctx, lockToken, complete)
}

// Statistics counts devices, and connections.
func (h *Hub) Statistics(ctx context.Context) (Statistics, error) { return h.statistics(ctx) }

// Statistics is a count of the registry and of live sessions.
type Statistics struct {
	Total, Enabled, Disabled, Connected int
}

// Query runs a query of the IoT Hub query language over twins. next is "" on
// the last page. Kind is "Twin" where the query selects whole twins, else "Raw".
func (h *Hub) Query(ctx context.Context, query string, max int, continuation string) (*QueryPage, error) {
	return h.query(ctx, query, max, continuation)
}

// A QueryPage is one page of results.
type QueryPage struct {
	Kind  string
	Items []json.RawMessage
	Next  string
}
