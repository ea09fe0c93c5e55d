package store

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weir-iot/weir/internal/jsonscan"
)

// MaxID bounds the length of ID and of DeviceID, in bytes: Cosmos DB's limit of ids.
const MaxID = 1023

// minTime and maxTime are what fits in 64 bits of nanoseconds.
var (
	minTime = time.Unix(0, math.MinInt64+1)
	maxTime = time.Unix(0, math.MaxInt64-1)
)

// Check says why no engine takes d: ErrTooLarge or ErrInvalid, wrapped with
// the cause, or nil.
func (d *Document) Check() error {
	switch {
	case d.ID == "" || d.DeviceID == "":
		return fmt.Errorf("%w: it needs an id and a device id (id %q, device %q)", ErrInvalid, d.ID, d.DeviceID)
	case len(d.ID) > MaxID || len(d.DeviceID) > MaxID:
		return fmt.Errorf("%w: an id of %d and a device id of %d bytes: at most %d each", ErrInvalid, len(d.ID), len(d.DeviceID), MaxID)
	case strings.IndexByte(d.ID, 0) >= 0 || strings.IndexByte(d.DeviceID, 0) >= 0:
		return fmt.Errorf("%w: a NUL in id %q or device id %q", ErrInvalid, d.ID, d.DeviceID)
	case outside(d.Time) || !d.Expires.IsZero() && outside(d.Expires):
		return fmt.Errorf("%w: time %v or expiry %v of document %q is outside the years 1678 to 2262", ErrInvalid, d.Time, d.Expires, d.ID)
	case len(d.ID)+len(d.DeviceID)+len(d.Data) > MaxDocument:
		return fmt.Errorf("%w: document %q of device %q has %d bytes", ErrTooLarge, d.ID, d.DeviceID, len(d.Data))
	case !jsonscan.Valid(d.Data):
		return fmt.Errorf("%w: data of document %q of device %q is not JSON", ErrInvalid, d.ID, d.DeviceID)
	}
	return nil
}

func outside(t time.Time) bool { return t.Before(minTime) || t.After(maxTime) }

// AppendJSON appends the document as Cosmos DB would show it: {"id",
// "deviceId", "partitionKey", "data", "ttl", "_ts"}. ttl is in seconds after
// _ts, -1 for never; _ts is in seconds of Unix time.
func (d *Document) AppendJSON(b []byte) []byte {
	device := appendString(nil, d.DeviceID)
	b = appendString(append(b, `{"id":`...), d.ID)
	b = append(append(b, `,"deviceId":`...), device...)
	b = append(append(b, `,"partitionKey":`...), device...)
	b = append(append(b, `,"data":`...), d.Data...)
	ttl := int64(-1)
	if !d.Expires.IsZero() {
		ttl = int64(d.Expires.Sub(d.Time) / time.Second)
	}
	b = strconv.AppendInt(append(b, `,"ttl":`...), ttl, 10)
	b = strconv.AppendInt(append(b, `,"_ts":`...), d.Time.Unix(), 10)
	return append(b, '}')
}

// appendString appends s as JSON; most ids need no escapes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// Compare orders documents by time, then by ID: the order that Read reverses.
func (c Cursor) Compare(o Cursor) int {
	if n := c.Time.Compare(o.Time); n != 0 {
		return n
	}
	return strings.Compare(c.ID, o.ID)
}

// Cursor returns d's place in the order newest first.
func (d *Document) Cursor() Cursor { return Cursor{d.Time, d.ID} }

// Expired reports whether d is no longer there at now.
func (d *Document) Expired(now time.Time) bool {
	return !d.Expires.IsZero() && !now.Before(d.Expires)
}
