package disk

import (
	"encoding/binary"
	"hash/crc32"
	"time"
	"unsafe"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/telemetry"
)

// A record is recordHead bytes, then its strings, then the body to its end; the
// page docs/formats/log.md draws it.
const (
	recordHead = 24 // crc u32, length u32, seq i64, time i64
	// recordSlack is what the head, the source and the lengths of a record
	// without properties take at most.
	recordSlack = recordHead + 1 + 7*binary.MaxVarintLen32
	// propertySlack is what the two lengths of a property take at most.
	propertySlack = 2 * binary.MaxVarintLen32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordBound is the most bytes that the record of m can take.
func recordBound(m *telemetry.Message) int {
	return m.Size() + recordSlack + propertySlack*(len(m.System)+len(m.Properties))
}

// measure returns the bytes that msgs count in the budget.
func measure(msgs []telemetry.Message) (int64, error) {
	total := int64(0)
	for i := range msgs {
		n := recordBound(&msgs[i])
		if n > eventlog.MaxMessage {
			return 0, eventlog.ErrTooLarge
		}
		total += int64(n)
	}
	return total, nil
}

// recordSeed is where the checksum of every record of a partition starts, so
// that bytes of another log or partition never pass for a record.
func recordSeed(id uint64, partition int) uint32 {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], id)
	binary.LittleEndian.PutUint32(b[8:], uint32(partition))
	return crc32.Checksum(b[:], castagnoli)
}

// appendRecord appends the record of m to b. at is in microseconds.
func appendRecord(b []byte, seed uint32, m *telemetry.Message, seq, at int64) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = append(b, byte(m.Source))
	b = appendString(b, m.DeviceID)
	b = appendString(b, m.ModuleID)
	b = appendString(b, m.MessageID)
	b = appendString(b, m.ContentType)
	b = appendString(b, m.Encoding)
	b = appendProperties(b, m.System)
	b = appendProperties(b, m.Properties)
	b = append(b, m.Body...)

	r := b[start:]
	binary.LittleEndian.PutUint32(r[4:], uint32(len(r)-recordHead))
	binary.LittleEndian.PutUint64(r[8:], uint64(seq))
	binary.LittleEndian.PutUint64(r[16:], uint64(at))
	binary.LittleEndian.PutUint32(r, crc32.Update(seed, castagnoli, r[4:]))
	return b
}

func appendString(b []byte, s string) []byte {
	if len(s) < 0x80 {
		b = append(b, byte(len(s)))
	} else {
		b = binary.AppendUvarint(b, uint64(len(s)))
	}
	return append(b, s...)
}

// appendProperties writes the length of a value plus one, so that 0 is Null.
func appendProperties(b []byte, ps telemetry.Properties) []byte {
	b = binary.AppendUvarint(b, uint64(len(ps)))
	for i := range ps {
		b = appendString(b, ps[i].Key)
		if ps[i].Null {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(ps[i].Value))+1)
		b = append(b, ps[i].Value...)
	}
	return b
}

// checkRecord tells whether b, a whole record, is the record of seed's
// partition with the sequence number that it carries.
func checkRecord(b []byte, seed uint32) bool {
	return crc32.Update(seed, castagnoli, b[4:]) == binary.LittleEndian.Uint32(b)
}

func recordLength(head []byte) int64 {
	return recordHead + int64(binary.LittleEndian.Uint32(head[4:]))
}

func recordSeq(head []byte) int64  { return int64(binary.LittleEndian.Uint64(head[8:])) }
func recordTime(head []byte) int64 { return int64(binary.LittleEndian.Uint64(head[16:])) }

// decodeRecord sets m to what the whole record b holds; strings and body point
// into b, properties are appended to arena, which is returned. It is false for
// bytes that no encoder of this format made.
func decodeRecord(b []byte, partition int, m *telemetry.Message, arena []telemetry.Property) ([]telemetry.Property, bool) {
	d := decoder{b: b[recordHead:]}
	*m = telemetry.Message{Partition: partition, Seq: recordSeq(b), EnqueuedAt: microTime(recordTime(b))}
	m.Source = telemetry.Source(d.byte())
	m.DeviceID = d.string(d.uvarint())
	m.ModuleID = d.string(d.uvarint())
	m.MessageID = d.string(d.uvarint())
	m.ContentType = d.string(d.uvarint())
	m.Encoding = d.string(d.uvarint())
	arena, m.System = d.properties(arena)
	arena, m.Properties = d.properties(arena)
	m.Body = d.b[:len(d.b):len(d.b)]
	return arena, !d.bad
}

// A decoder takes fields off the front of b; after the first that does not fit
// it is bad and gives zero values.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		v := d.b[0]
		d.b = d.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string(n uint64) string {
	if n > uint64(len(d.b)) {
		d.bad = true
		return ""
	}
	if n == 0 {
		return ""
	}
	s := unsafe.String(unsafe.SliceData(d.b), int(n))
	d.b = d.b[n:]
	return s
}

func (d *decoder) properties(arena []telemetry.Property) ([]telemetry.Property, telemetry.Properties) {
	n := d.uvarint()
	if n == 0 {
		return arena, nil
	}
	if n > uint64(len(d.b)) { // each takes two bytes at least
		d.bad = true
		return arena, nil
	}
	start := len(arena)
	for range n {
		p := telemetry.Property{Key: d.string(d.uvarint())}
		if v := d.uvarint(); v == 0 {
			p.Null = true
		} else {
			p.Value = d.string(v - 1)
		}
		arena = append(arena, p)
	}
	return arena, arena[start:len(arena):len(arena)]
}

// microTime is the time of a record; Append sets the very same value.
func microTime(us int64) time.Time { return time.UnixMicro(us).UTC() }
