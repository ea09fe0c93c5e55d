package hub

import (
	"context"
	"encoding/json"
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

// TwinOf returns a twin as services see it.
func (h *Hub) TwinOf(ctx context.Context, id ID) (*Twin, error) { return nil, ErrUnavailable }

// PatchTwin merges a JSON patch {"tags":{…},"properties":{"desired":{…}}};
// ReplaceTwin replaces those parts. Both send desired properties to a device that listens.
func (h *Hub) PatchTwin(ctx context.Context, id ID, patch []byte, ifMatch string) (*Twin, error) {
	return nil, ErrUnavailable
}

// ReplaceTwin: see PatchTwin.
func (h *Hub) ReplaceTwin(ctx context.Context, id ID, twin []byte, ifMatch string) (*Twin, error) {
	return nil, ErrUnavailable
}

// Twin returns the device's view of its twin, as JSON:
// {"desired":{…,"$version":n},"reported":{…,"$version":n}}.
func (s *Session) Twin(ctx context.Context) (json.RawMessage, error) { return nil, ErrUnavailable }

// Report merges a patch into the reported properties and returns their new version.
func (s *Session) Report(ctx context.Context, patch []byte) (version int64, err error) {
	return 0, ErrUnavailable
}
