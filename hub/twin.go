package hub

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"
)

// A Twin is the desired state of a device, what it reports, and tags. Its JSON
// form is that of the service REST API 2021-04-12; keys are sorted, numbers
// stand as they were written.
type Twin struct {
	Device   *Device // whose twin it is; nil as a Registry gives it
	ETag     string  // of tags and desired properties: a counter, base64
	Version  int64   // grows with every change
	ModelID  string  // digital twin model that the device announced, or ""
	Tags     map[string]any
	Desired  Section
	Reported Section
}

// A Section is desired or reported properties. Values are what encoding/json
// decodes, with json.Number.
type Section struct {
	Version  int64 // $version
	Values   map[string]any
	Metadata *Metadata // of Values; not nil
}

// newTwin is the twin of a new identity.
func newTwin(now time.Time) *Twin {
	return &Twin{
		ETag: twinETag(1), Version: 2, Tags: map[string]any{},
		Desired:  Section{Version: 1, Values: map[string]any{}, Metadata: &Metadata{Updated: now, Version: 1}},
		Reported: Section{Version: 1, Values: map[string]any{}, Metadata: &Metadata{Updated: now}},
	}
}

// twinETag is n as IoT Hub writes it: 1 is "AAAAAAAAAAE=".
func twinETag(n uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, n))
}

// nextETag is the one after t's.
func (t *Twin) nextETag() string {
	b, err := base64.StdEncoding.DecodeString(t.ETag)
	if err != nil || len(b) != 8 {
		return twinETag(uint64(t.Version))
	}
	return twinETag(binary.BigEndian.Uint64(b) + 1)
}

// TwinOf returns a twin as services see it.
func (h *Hub) TwinOf(ctx context.Context, id ID) (*Twin, error) {
	t, err := h.readTwin(ctx, id)
	if err != nil {
		return nil, err
	}
	if t.Device, _, err = h.identity(ctx, id); err != nil {
		return nil, err
	}
	h.overlay(t.Device)
	return t, nil
}

func (h *Hub) readTwin(ctx context.Context, id ID) (*Twin, error) {
	t, err := h.registry.Twin(ctx, id)
	if err != nil {
		return nil, h.failure("reading a twin", id, err)
	}
	return t, nil
}

// PatchTwin merges a JSON patch {"tags":{…},"properties":{"desired":{…}}};
// ReplaceTwin replaces those parts: one that is missing becomes empty. Both
// send desired properties to a device that listens. Other fields are ignored:
// services send whole twins back.
func (h *Hub) PatchTwin(ctx context.Context, id ID, patch []byte, ifMatch string) (*Twin, error) {
	p, err := parseTwinPatch(patch)
	if err != nil {
		return nil, err
	}
	return h.changeTwin(ctx, id, ifMatch, func(t *Twin, now time.Time) (map[string]any, error) {
		return t.patch(p, now, &h.limits)
	})
}

// ReplaceTwin: see PatchTwin.
func (h *Hub) ReplaceTwin(ctx context.Context, id ID, twin []byte, ifMatch string) (*Twin, error) {
	p, err := parseTwinPatch(twin)
	if err != nil {
		return nil, err
	}
	return h.changeTwin(ctx, id, ifMatch, func(t *Twin, now time.Time) (map[string]any, error) {
		return t.replace(p, now, &h.limits)
	})
}

// changeTwin writes what change makes of the twin, and pushes the desired
// properties that it returns; nil: they did not change. The device's lock keeps
// pushes in the order of versions.
func (h *Hub) changeTwin(ctx context.Context, id ID, ifMatch string, change func(*Twin, time.Time) (map[string]any, error)) (*Twin, error) {
	l := h.lock(id.Device)
	l.Lock()
	defer l.Unlock()
	t, err := h.readTwin(ctx, id)
	if err != nil {
		return nil, err
	}
	if ifMatch != "" && ifMatch != "*" && ifMatch != t.ETag {
		return nil, ErrPrecondition
	}
	before := t.Version
	desired, err := change(t, h.stamp())
	if err != nil {
		return nil, err
	}
	if err := h.registry.Write(ctx, PutTwin{ID: id, Twin: t, If: before}); err != nil {
		return nil, h.failure("writing a twin", id, err)
	}
	if desired != nil {
		h.pushDesired(id, t.Desired.Version, desired)
	}
	if t.Device, _, err = h.identity(ctx, id); err != nil {
		return nil, err
	}
	h.overlay(t.Device)
	return t, nil
}

func (h *Hub) pushDesired(id ID, version int64, patch map[string]any) {
	s := h.session(id)
	if s == nil || !s.wants(FeedDesired) {
		return
	}
	b, err := json.Marshal(withVersion(patch, version))
	if err != nil {
		h.logger.Error("encoding desired properties failed", "device", id.String(), "error", err)
		return
	}
	s.call(func(r Receiver) { r.Desired(version, b) })
}

// withVersion is a copy of values with $version.
func withVersion(values map[string]any, version int64) map[string]any {
	doc := make(map[string]any, len(values)+1)
	for key, value := range values {
		doc[key] = value
	}
	doc["$version"] = version
	return doc
}

// announceModel keeps the model that a device names when it connects.
func (h *Hub) announceModel(ctx context.Context, id ID, model string) error {
	if len(model) > maxModelID {
		return ErrArgument.With("the model id has %d bytes, %d are allowed", len(model), maxModelID)
	}
	t, err := h.readTwin(ctx, id)
	if err != nil || t.ModelID == model {
		return err
	}
	_, err = h.changeTwin(ctx, id, "", func(t *Twin, _ time.Time) (map[string]any, error) {
		t.ModelID = model
		t.Version++
		return nil, nil
	})
	return err
}

// maxModelID bounds a model id (DTMI), in bytes; digital twin definitions allow 128.
const maxModelID = 256

// Twin returns the device's view of its twin, as JSON:
// {"desired":{…,"$version":n},"reported":{…,"$version":n}}.
func (s *Session) Twin(ctx context.Context) (json.RawMessage, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	t, err := s.hub.readTwin(ctx, s.id)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(map[string]any{
		"desired":  withVersion(t.Desired.Values, t.Desired.Version),
		"reported": withVersion(t.Reported.Values, t.Reported.Version),
	})
	if err != nil {
		return nil, s.hub.failure("encoding a twin", s.id, err)
	}
	return b, nil
}

// Report merges a patch into the reported properties and returns their new
// version, when it is durable.
func (s *Session) Report(ctx context.Context, patch []byte) (version int64, err error) {
	if err := s.alive(); err != nil {
		return 0, err
	}
	p, err := parseObject(patch)
	if err != nil {
		return 0, err
	}
	_, err = s.hub.changeTwin(ctx, s.id, "", func(t *Twin, now time.Time) (map[string]any, error) {
		err := t.report(p, now, &s.hub.limits)
		version = t.Reported.Version
		return nil, err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}
