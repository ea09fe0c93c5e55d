package pebble

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/weir-iot/weir/store"
)

// The keys, all integers big-endian. docs/formats/store.md shows them with the
// values; a change of either needs a new comparer name.
//
//	'd' day segment device 00 | ^time ^id ff → a document
//	'i' generation bucket ^run              → places of documents by the hash of their IDs
//	'j' number                              → places that are not in a run yet
//	'k'                                     → the key of that hash
//	'm' shard consumer                      → a mark
//	's' day segment                         → what the segment holds
//
// Times are inverted so that an ascending scan is newest first, IDs so that of
// equal times the larger comes first: the inverted ID ends in ff, which no byte
// of it can be, as IDs have no NUL.
const (
	kindDocument = 'd'
	kindIndex    = 'i'
	kindJournal  = 'j'
	kindHashKey  = 'k'
	kindMark     = 'm'
	kindSegment  = 's'
)

// never is the day of documents that do not expire.
const never = math.MaxUint32

// daySeconds is the length of a day of expiry.
const daySeconds = 24 * 60 * 60

// indexDays is how many days of expiry share a generation of the index of IDs.
// An upsert asks the filter of every generation that has runs: with one time to
// live of 7 days two at most. A place outlives its document by as much.
const indexDays = 8

const (
	segmentKeySize = 1 + 4 + 4
	timeSize       = 8
)

// comparer orders keys as bytes; a document's prefix ends behind the device, so
// that one Bloom filter answers whether a table knows a device.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "weir.store.2"
	c.Split = func(key []byte) int {
		if len(key) > segmentKeySize && key[0] == kindDocument {
			if i := bytes.IndexByte(key[segmentKeySize:], 0); i >= 0 {
				return segmentKeySize + i + 1
			}
		}
		return len(key)
	}
	return &c
}()

// dayOf returns the day in which a document expires for good. Days before 1970
// are day 0.
func dayOf(expires time.Time) uint32 {
	if expires.IsZero() {
		return never
	}
	return uint32(max(0, expires.Unix()/daySeconds))
}

// expired reports whether everything of that day has expired at now.
func expired(day uint32, now time.Time) bool {
	return day != never && now.Unix() >= (int64(day)+1)*daySeconds
}

func generation(day uint32) uint32 { return day / indexDays }

func dayKey(kind byte, day uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kind}, day)
}

func segmentKey(kind byte, day, number uint32) []byte {
	return binary.BigEndian.AppendUint32(dayKey(kind, day), number)
}

func markKey(consumer string, shard int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kindMark}, uint32(shard)), consumer...)
}

// documentPrefix is the key of a document up to its suffix.
func documentPrefix(b []byte, day, number uint32, device string) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kindDocument), day)
	b = binary.BigEndian.AppendUint32(b, number)
	return append(append(b, device...), 0)
}

func invertTime(nano int64) uint64 { return ^(uint64(nano) ^ 1<<63) }

func revertTime(v uint64) int64 { return int64(^v ^ 1<<63) }

// suffix appends the part of a document's key that orders it within a device.
func suffix(b []byte, nano int64, id string) []byte {
	b = binary.BigEndian.AppendUint64(b, invertTime(nano))
	n := len(b)
	b = append(b, id...)
	for i := n; i < len(b); i++ {
		b[i] = ^b[i]
	}
	return append(b, 0xff)
}

func suffixSize(id string) int { return timeSize + len(id) + 1 }

// suffixTime and suffixID read a suffix back.
func suffixTime(s []byte) int64 { return revertTime(binary.BigEndian.Uint64(s)) }

func suffixID(s []byte) string {
	var short [64]byte // most IDs: then the string is the only allocation
	b := append(short[:0], s[timeSize:len(s)-1]...)
	for i := range b {
		b[i] = ^b[i]
	}
	return string(b)
}

// A document's value is a byte of flags, the expiry in nanoseconds if it has
// one, and the data.
const (
	flagGenerated = 1 << iota
	flagExpires
)

func valueSize(d *store.Document) int {
	if d.Expires.IsZero() {
		return 1 + len(d.Data)
	}
	return 1 + timeSize + len(d.Data)
}

func putValue(b []byte, d *store.Document) {
	var flags byte
	if d.Generated {
		flags = flagGenerated
	}
	rest := b[1:]
	if !d.Expires.IsZero() {
		flags |= flagExpires
		binary.BigEndian.PutUint64(rest, uint64(d.Expires.UnixNano()))
		rest = rest[timeSize:]
	}
	b[0] = flags
	copy(rest, d.Data)
}

// parseValue fills d from a value; the data points into it.
func parseValue(v []byte, d *store.Document) bool {
	if len(v) == 0 {
		return false
	}
	flags, rest := v[0], v[1:]
	d.Generated = flags&flagGenerated != 0
	d.Expires = time.Time{}
	if flags&flagExpires != 0 {
		if len(rest) < timeSize {
			return false
		}
		d.Expires = time.Unix(0, int64(binary.BigEndian.Uint64(rest))).UTC()
		rest = rest[timeSize:]
	}
	d.Data = rest[:len(rest):len(rest)]
	return true
}
