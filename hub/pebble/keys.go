package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/weir-iot/weir/hub"
)

// A key is a kind, then device, NUL and module; or kindEntry, queue, NUL and
// the sequence as 8 bytes, big-endian. No name holds NUL.
const (
	kindActivity = 'a'
	kindDevice   = 'd'
	kindEntry    = 'q'
	kindTwin     = 't'

	format = "1"
)

var formatKey = []byte("\x00format")

var errDamaged = errors.New("damaged value: restore the registry from a backup")

func idKey(kind byte, id hub.ID) []byte {
	k := make([]byte, 0, len(id.Device)+len(id.Module)+3)
	k = append(k, kind)
	k = append(k, id.Device...)
	k = append(k, 0)
	return append(k, id.Module...)
}

func splitID(key []byte) hub.ID {
	device, module, _ := bytes.Cut(key[1:], []byte{0})
	return hub.ID{Device: string(device), Module: string(module)}
}

func entryKey(queue string, sequence int64) []byte {
	return binary.BigEndian.AppendUint64(idKey(kindEntry, hub.ID{Device: queue}), uint64(max(sequence, 0)))
}

// queueEnd is behind every entry of queue.
func queueEnd(queue string) []byte { return append(append([]byte{kindEntry}, queue...), 1) }

func splitEntry(key []byte) (queue string, sequence int64, err error) {
	name, rest, ok := bytes.Cut(key[1:], []byte{0})
	if !ok || len(rest) != 8 {
		return "", 0, errDamaged
	}
	return string(name), int64(binary.BigEndian.Uint64(rest)), nil
}

// A device is its etag behind one byte of length, then JSON.
func joinETag(etag string, doc []byte) []byte {
	v := make([]byte, 0, 1+len(etag)+len(doc))
	v = append(v, byte(len(etag)))
	v = append(v, etag...)
	return append(v, doc...)
}

func splitETag(v []byte) (etag string, doc []byte, err error) {
	if len(v) == 0 || len(v) < 1+int(v[0]) {
		return "", nil, errDamaged
	}
	n := 1 + int(v[0])
	return string(v[1:n]), v[n:], nil
}

// A twin is its version as 8 bytes, big-endian, then JSON.
func joinVersion(version int64, doc []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(doc)), uint64(version)), doc...)
}

func splitVersion(v []byte) (version int64, doc []byte, err error) {
	if len(v) < 8 {
		return 0, nil, errDamaged
	}
	return int64(binary.BigEndian.Uint64(v)), v[8:], nil
}

// An activity is two times in Unix milliseconds; 0 is the zero time.
func encodeActivity(a hub.Activity) []byte {
	v := binary.BigEndian.AppendUint64(nil, millis(a.Last))
	return binary.BigEndian.AppendUint64(v, millis(a.ConnectionStateUpdated))
}

func decodeActivity(v []byte) hub.Activity {
	if len(v) != 16 {
		return hub.Activity{} // never heard of
	}
	return hub.Activity{
		Last:                   fromMillis(binary.BigEndian.Uint64(v)),
		ConnectionStateUpdated: fromMillis(binary.BigEndian.Uint64(v[8:])),
	}
}

func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

func fromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// remove deletes all that belongs to id.
func remove(b *pebble.Batch, id hub.ID) error {
	kinds := []byte{kindDevice, kindTwin, kindActivity}
	if id.Module != "" {
		for _, kind := range kinds {
			if err := b.Delete(idKey(kind, id), nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, kind := range append(kinds, kindEntry) {
		end := append(append([]byte{kind}, id.Device...), 1)
		if err := b.DeleteRange(idKey(kind, id), end, nil); err != nil {
			return err
		}
	}
	return nil
}
