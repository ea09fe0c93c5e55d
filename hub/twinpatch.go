package hub

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of one value in a twin that no Limits field names.
const (
	maxTwinKey    = 1 << 10 // bytes
	maxTwinString = 4 << 10 // bytes
	maxTwinInt    = 1 << 52 // and its negative
	maxTwinPatch  = 1 << 18 // bytes of a patch, white space and ignored fields included
)

// A twinPatch is what a service sends. A nil map says that the part is missing
// or, with clear, null.
type twinPatch struct {
	tags, desired           map[string]any
	clearTags, clearDesired bool
}

// parseObject decodes a JSON object of a twin, numbers as they stand.
func parseObject(b []byte) (map[string]any, error) {
	if len(b) > maxTwinPatch {
		return nil, ErrTooLarge.With("the patch has %d bytes, %d are allowed", len(b), maxTwinPatch)
	}
	if !utf8.Valid(b) {
		return nil, ErrArgument.With("the patch is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, ErrArgument.With("the patch is not a JSON object: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, ErrArgument.With("something stands behind the patch")
	}
	if doc == nil {
		return nil, ErrArgument.With("the patch is null")
	}
	return doc, nil
}

func parseTwinPatch(b []byte) (p twinPatch, err error) {
	doc, err := parseObject(b)
	if err != nil {
		return p, err
	}
	if p.tags, p.clearTags, err = objectField(doc, "tags"); err != nil {
		return p, err
	}
	properties, _, err := objectField(doc, "properties")
	if err != nil {
		return p, err
	}
	if p.desired, p.clearDesired, err = objectField(properties, "desired"); err != nil {
		return p, err
	}
	delete(p.desired, "$metadata") // what we wrote ourselves comes back
	delete(p.desired, "$version")
	return p, nil
}

func objectField(doc map[string]any, key string) (value map[string]any, null bool, err error) {
	v, ok := doc[key]
	if !ok {
		return nil, false, nil
	}
	if v == nil {
		return nil, true, nil
	}
	value, ok = v.(map[string]any)
	if !ok {
		return nil, false, ErrArgument.With("%s must be an object", key)
	}
	return value, false, nil
}

// patch merges p into t and returns what changes in the desired properties.
func (t *Twin) patch(p twinPatch, now time.Time, limits *Limits) (desired map[string]any, err error) {
	if p.clearTags {
		t.Tags = map[string]any{}
	}
	mergeObject(t.Tags, nil, p.tags, now, 0)
	switch {
	case p.clearDesired:
		desired = difference(t.Desired.Values, nil)
	case p.desired != nil:
		desired = p.desired
	}
	if desired != nil {
		t.Desired.merge(desired, now, t.Desired.Version+1)
	}
	return desired, t.changed(limits)
}

// replace makes p the tags and desired properties of t, and returns the patch
// that brings a device there.
func (t *Twin) replace(p twinPatch, now time.Time, limits *Limits) (desired map[string]any, err error) {
	t.Tags = map[string]any{}
	mergeObject(t.Tags, nil, p.tags, now, 0)
	old, version := t.Desired.Values, t.Desired.Version
	t.Desired = Section{Version: version, Values: map[string]any{}, Metadata: &Metadata{}}
	t.Desired.merge(p.desired, now, version+1)
	return difference(old, t.Desired.Values), t.changed(limits)
}

// changed counts a change by a service, and checks what came of it.
func (t *Twin) changed(limits *Limits) error {
	t.ETag = t.nextETag()
	t.Version++
	if err := limits.check("tags", t.Tags, limits.Tags); err != nil {
		return err
	}
	return limits.check("desired properties", t.Desired.Values, limits.Properties)
}

// report merges a device's patch.
func (t *Twin) report(patch map[string]any, now time.Time, limits *Limits) error {
	t.Reported.merge(patch, now, 0)
	t.Reported.Version++
	t.Version++
	return limits.check("reported properties", t.Reported.Values, limits.Properties)
}

// merge merges patch. version is the new one, shown beside every part; 0: as
// with reported properties, none is shown and the caller counts.
func (s *Section) merge(patch map[string]any, now time.Time, version int64) {
	mergeObject(s.Values, s.Metadata, patch, now, version)
	if version != 0 {
		s.Version = version
	}
}

// mergeObject is a JSON merge patch (RFC 7396): null removes, objects merge,
// everything else replaces. meta is nil for tags, which have none.
func mergeObject(values map[string]any, meta *Metadata, patch map[string]any, now time.Time, version int64) {
	meta.touch(now, version)
	for key, p := range patch {
		switch p := p.(type) {
		case nil:
			delete(values, key)
			meta.remove(key)
		case map[string]any:
			child, ok := values[key].(map[string]any)
			if !ok {
				child = map[string]any{}
				values[key] = child
				meta.remove(key)
			}
			mergeObject(child, meta.child(key), p, now, version)
		default:
			values[key] = p
			meta.remove(key)
			meta.child(key).touch(now, version)
		}
	}
}

func (m *Metadata) touch(now time.Time, version int64) {
	if m != nil {
		m.Updated, m.Version = now, version
	}
}

func (m *Metadata) remove(key string) {
	if m != nil {
		delete(m.Children, key)
	}
}

func (m *Metadata) child(key string) *Metadata {
	if m == nil {
		return nil
	}
	if m.Children == nil {
		m.Children = map[string]*Metadata{}
	}
	if m.Children[key] == nil {
		m.Children[key] = &Metadata{}
	}
	return m.Children[key]
}

// difference is the merge patch that makes to of from: everything in to, and
// null for what is gone.
func difference(from, to map[string]any) map[string]any {
	patch := make(map[string]any, len(to))
	for key := range from {
		if _, ok := to[key]; !ok {
			patch[key] = nil
		}
	}
	for key, value := range to {
		object, ok := value.(map[string]any)
		old, ok2 := from[key].(map[string]any)
		if ok && ok2 {
			value = difference(old, object)
		}
		patch[key] = value
	}
	return patch
}

// check refuses what IoT Hub refuses in one part of a twin; max is in bytes.
func (l *Limits) check(part string, values map[string]any, max int) error {
	c := twinCheck{part: part, depth: l.Depth}
	if err := c.object(values, 0); err != nil {
		return err
	}
	b, err := json.Marshal(values)
	if err != nil {
		return ErrArgument.With("%s: %v", part, err)
	}
	if len(b) > max {
		return ErrArgument.With("%s would have %d bytes, %d are allowed", part, len(b), max)
	}
	return nil
}

type twinCheck struct {
	part  string
	depth int
}

func (c *twinCheck) object(values map[string]any, depth int) error {
	if depth > c.depth {
		return ErrArgument.With("%s are nested deeper than %d levels", c.part, c.depth)
	}
	for key, value := range values {
		if err := c.key(key); err != nil {
			return err
		}
		if err := c.value(key, value, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *twinCheck) key(key string) error {
	if key == "" || len(key) > maxTwinKey {
		return ErrArgument.With("%s: a key has %d bytes, 1 to %d are allowed", c.part, len(key), maxTwinKey)
	}
	if i := strings.IndexFunc(key, func(r rune) bool {
		return r <= ' ' || r == '.' || r == '$' || r == '#' || 0x7f <= r && r <= 0x9f
	}); i >= 0 {
		return ErrArgument.With("%s: key %q: '.', '$', '#', spaces and control characters are not allowed", c.part, key)
	}
	return nil
}

func (c *twinCheck) value(key string, value any, depth int) error {
	switch v := value.(type) {
	case map[string]any:
		return c.object(v, depth+1)
	case []any:
		return c.array(key, v, depth+1)
	case string:
		if len(v) > maxTwinString {
			return ErrArgument.With("%s: the text of %q has %d bytes, %d are allowed", c.part, key, len(v), maxTwinString)
		}
	case json.Number:
		return c.number(key, v)
	}
	return nil
}

func (c *twinCheck) array(key string, values []any, depth int) error {
	if depth > c.depth {
		return ErrArgument.With("%s are nested deeper than %d levels", c.part, c.depth)
	}
	for _, v := range values {
		if v == nil {
			return ErrArgument.With("%s: the array %q holds null", c.part, key)
		}
		if err := c.value(key, v, depth); err != nil {
			return err
		}
	}
	return nil
}

// number refuses integers that not every JSON reader can hold, and numbers
// that are no double at all.
func (c *twinCheck) number(key string, n json.Number) error {
	if !strings.ContainsAny(string(n), ".eE") {
		if i, err := n.Int64(); err != nil || i > maxTwinInt || i < -maxTwinInt {
			return ErrArgument.With("%s: the integer of %q is outside ±2^52", c.part, key)
		}
	} else if _, err := n.Float64(); err != nil {
		return ErrArgument.With("%s: the number of %q is out of range", c.part, key)
	}
	return nil
}
