package lake

import (
	"encoding/json"
	"fmt"
	"time"
)

// stats are a file's as the log keeps them (Delta protocol, "Per-file
// Statistics"). Values are of JSON's types, times as text in milliseconds.
type stats struct {
	NumRecords int64            `json:"numRecords"`
	MinValues  map[string]any   `json:"minValues"`
	MaxValues  map[string]any   `json:"maxValues"`
	NullCount  map[string]int64 `json:"nullCount"`
}

func (s *stats) text() (string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encoding statistics: %w", err)
	}
	return string(b), nil
}

// bounds are the statistics that a scan skips files by; what is not known is
// nil.
type bounds struct {
	NumRecords int64     `json:"numRecords"`
	MinValues  keyBounds `json:"minValues"`
	MaxValues  keyBounds `json:"maxValues"`
}

type keyBounds struct {
	DeviceID *string    `json:"deviceId"`
	Time     *time.Time `json:"time"`
}

func parseBounds(text string) (bounds, error) {
	var b bounds
	if text == "" {
		return b, nil
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return b, fmt.Errorf("%w: statistics: %w", ErrCorrupt, err)
	}
	if t := b.MaxValues.Time; t != nil { // other writers cut the rest of the millisecond off
		up := t.Add(time.Millisecond)
		b.MaxValues.Time = &up
	}
	return b, nil
}

// hasDevice reports whether the file may have rows of a device.
func (b *bounds) hasDevice(id string) bool {
	return (b.MinValues.DeviceID == nil || *b.MinValues.DeviceID <= id) &&
		(b.MaxValues.DeviceID == nil || id <= *b.MaxValues.DeviceID)
}

// hasTime reports whether the file may have rows with from <= time < to; a zero
// end is open.
func (b *bounds) hasTime(from, to time.Time) bool {
	return (to.IsZero() || b.MinValues.Time == nil || b.MinValues.Time.Before(to)) &&
		(from.IsZero() || b.MaxValues.Time == nil || !b.MaxValues.Time.Before(from))
}

// longestBound bounds the strings in statistics; a longer one has none.
const longestBound = 256

const boundLayout = "2006-01-02T15:04:05.000Z"

// minTime and maxTime are bounds of times in microseconds, in milliseconds.
func minTime(us int64) string { return time.UnixMicro(us).UTC().Format(boundLayout) }

func maxTime(us int64) string { return time.UnixMicro(us + 999).UTC().Format(boundLayout) }
