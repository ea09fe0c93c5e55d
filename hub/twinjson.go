package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Metadata says when a property, and each part of it, was last written. Its
// JSON form is the $metadata of a twin.
type Metadata struct {
	Updated  time.Time // $lastUpdated
	Version  int64     // $lastUpdatedVersion, of desired properties; 0: not shown
	Children map[string]*Metadata
}

// document is m as encoding/json writes it.
func (m *Metadata) document() map[string]any {
	doc := make(map[string]any, len(m.Children)+2)
	for key, child := range m.Children {
		doc[key] = child.document()
	}
	doc["$lastUpdated"] = m.Updated
	if m.Version != 0 {
		doc["$lastUpdatedVersion"] = m.Version
	}
	return doc
}

func parseMetadata(doc map[string]any) (*Metadata, error) {
	m := &Metadata{}
	for key, value := range doc {
		var err error
		switch v := value.(type) {
		case string:
			m.Updated, err = time.Parse(time.RFC3339, v)
		case json.Number:
			m.Version, err = v.Int64()
		case map[string]any:
			if m.Children == nil {
				m.Children = map[string]*Metadata{}
			}
			m.Children[key], err = parseMetadata(v)
		default:
			err = fmt.Errorf("$metadata: %s has an unexpected value", key)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// document is s with its $metadata and $version.
func (s *Section) document() map[string]any {
	doc := make(map[string]any, len(s.Values)+2)
	for key, value := range s.Values {
		doc[key] = value
	}
	doc["$metadata"] = s.Metadata.document()
	doc["$version"] = s.Version
	return doc
}

func parseSection(doc map[string]any) (Section, error) {
	var s Section
	version, ok := doc["$version"].(json.Number)
	metadata, ok2 := doc["$metadata"].(map[string]any)
	if !ok || !ok2 {
		return s, errors.New("properties without $version or $metadata")
	}
	var err error
	if s.Version, err = version.Int64(); err != nil {
		return s, err
	}
	if s.Metadata, err = parseMetadata(metadata); err != nil {
		return s, err
	}
	delete(doc, "$version")
	delete(doc, "$metadata")
	s.Values = doc
	return s, nil
}

// document is the twin as services see it. It shares memory with t.
func (t *Twin) document() map[string]any {
	doc := map[string]any{
		"etag":    t.ETag,
		"version": t.Version,
		"tags":    t.Tags,
		"properties": map[string]any{
			"desired":  t.Desired.document(),
			"reported": t.Reported.document(),
		},
	}
	if t.ModelID != "" {
		doc["modelId"] = t.ModelID
	}
	if t.Device != nil {
		t.Device.describe(doc)
	}
	return doc
}

// describe adds what a twin says about its identity.
func (d *Device) describe(doc map[string]any) {
	doc["deviceId"] = d.DeviceID
	if d.ModuleID != "" {
		doc["moduleId"] = d.ModuleID
	}
	doc["deviceEtag"] = d.ETag
	doc["status"] = d.Status
	if d.ModuleID != "" {
		doc["status"] = StatusEnabled
	}
	if d.StatusReason != "" {
		doc["statusReason"] = d.StatusReason
	}
	doc["statusUpdateTime"] = d.StatusUpdatedTime
	doc["connectionState"] = d.ConnectionState
	doc["lastActivityTime"] = d.LastActivityTime
	doc["cloudToDeviceMessageCount"] = json.Number(fmt.Sprint(d.CloudToDeviceMessageCount))
	if a := d.Authentication; a != nil {
		doc["authenticationType"] = a.Type
		// Capitals, unlike in a Device: so does IoT Hub.
		doc["x509Thumbprint"] = map[string]any{
			"PrimaryThumbprint":   nullable(a.X509Thumbprint.PrimaryThumbprint),
			"SecondaryThumbprint": nullable(a.X509Thumbprint.SecondaryThumbprint),
		}
	}
	if d.Capabilities != nil {
		doc["capabilities"] = map[string]any{"iotEdge": d.Capabilities.IotEdge}
	}
	if d.DeviceScope != "" {
		doc["deviceScope"] = d.DeviceScope
	}
	if len(d.ParentScopes) > 0 {
		scopes := make([]any, len(d.ParentScopes))
		for i, scope := range d.ParentScopes {
			scopes[i] = scope
		}
		doc["parentScopes"] = scopes
	}
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// MarshalJSON writes the twin as services see it.
func (t *Twin) MarshalJSON() ([]byte, error) { return json.Marshal(t.document()) }

// Stored is what a Registry keeps: the JSON form without the identity.
func (t *Twin) Stored() ([]byte, error) {
	c := *t
	c.Device = nil
	return json.Marshal(&c)
}

// UnmarshalJSON reads what MarshalJSON writes; of the identity it takes
// nothing, Device stays as it is.
func (t *Twin) UnmarshalJSON(b []byte) error {
	var in struct {
		ETag       string
		Version    int64
		ModelID    string
		Tags       map[string]any
		Properties struct{ Desired, Reported map[string]any }
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	t.ETag, t.Version, t.ModelID, t.Tags = in.ETag, in.Version, in.ModelID, in.Tags
	var err error
	if t.Desired, err = parseSection(in.Properties.Desired); err != nil {
		return fmt.Errorf("desired: %w", err)
	}
	if t.Reported, err = parseSection(in.Properties.Reported); err != nil {
		return fmt.Errorf("reported: %w", err)
	}
	return nil
}
