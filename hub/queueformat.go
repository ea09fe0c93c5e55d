package hub

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/weir-iot/weir/telemetry"
)

// storedMessage is the head of a queue entry; the body follows it raw.
type storedMessage struct {
	MessageID     string           `json:"id,omitempty"`
	CorrelationID string           `json:"cid,omitempty"`
	UserID        string           `json:"uid,omitempty"`
	To            string           `json:"to"`
	ContentType   string           `json:"ct,omitempty"`
	Encoding      string           `json:"ce,omitempty"`
	Ack           string           `json:"ack"`
	Properties    []storedProperty `json:"p,omitempty"`
	Enqueued      time.Time        `json:"at"`
	Expires       time.Time        `json:"exp"`
	DeliveryCount int              `json:"n,omitempty"`
	Generation    string           `json:"gen"`
}

type storedProperty struct {
	Key   string `json:"k"`
	Value string `json:"v,omitempty"`
	Null  bool   `json:"null,omitempty"`
}

var errEntry = errors.New("damaged queue entry: restore the registry from a backup")

// encodeMessage makes the entry of m: the length of the head as a varint, the
// head as JSON, the body.
func encodeMessage(device, generation string, m *CloudMessage) (Entry, error) {
	s := storedMessage{
		MessageID: m.MessageID, CorrelationID: m.CorrelationID, UserID: m.UserID, To: m.To,
		ContentType: m.ContentType, Encoding: m.Encoding, Ack: m.Ack,
		Enqueued: m.Enqueued, Expires: m.Expires, DeliveryCount: m.DeliveryCount, Generation: generation,
	}
	for _, p := range m.Properties {
		s.Properties = append(s.Properties, storedProperty(p))
	}
	head, err := json.Marshal(&s)
	if err != nil {
		return Entry{}, err
	}
	data := binary.AppendUvarint(make([]byte, 0, len(head)+len(m.Body)+4), uint64(len(head)))
	data = append(data, head...)
	data = append(data, m.Body...)
	return Entry{Queue: device, Sequence: m.Sequence, Data: data}, nil
}

func decodeMessage(e Entry) (m *CloudMessage, generation string, err error) {
	n, k := binary.Uvarint(e.Data)
	if k <= 0 || n > uint64(len(e.Data)-k) {
		return nil, "", errEntry
	}
	var s storedMessage
	if err := json.Unmarshal(e.Data[k:k+int(n)], &s); err != nil {
		return nil, "", errors.Join(errEntry, err)
	}
	m = &CloudMessage{
		MessageID: s.MessageID, CorrelationID: s.CorrelationID, UserID: s.UserID, To: s.To,
		ContentType: s.ContentType, Encoding: s.Encoding, Ack: s.Ack,
		Enqueued: s.Enqueued, Expires: s.Expires, DeliveryCount: s.DeliveryCount,
		Sequence: e.Sequence, Body: e.Data[k+int(n):],
	}
	for _, p := range s.Properties {
		m.Properties = append(m.Properties, telemetry.Property(p))
	}
	return m, s.Generation, nil
}
