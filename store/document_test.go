package store_test

import (
	"testing"
	"time"

	"github.com/weir-iot/weir/store"
)

func TestAppendJSON(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 1, 999, time.UTC)
	tests := []struct {
		doc  store.Document
		want string
	}{
		{
			store.Document{ID: "42", DeviceID: "m-1", Time: at, Expires: at.Add(604800 * time.Second), Data: []byte(`{"t": 1.0}`)},
			`{"id":"42","deviceId":"m-1","partitionKey":"m-1","data":{"t": 1.0},"ttl":604800,"_ts":1767225601}`,
		},
		{
			store.Document{ID: `a"\`, DeviceID: "ä\n\xff", Time: at, Data: []byte(`1`)},
			`{"id":"a\"\\","deviceId":"ä\n\ufffd","partitionKey":"ä\n\ufffd","data":1,"ttl":-1,"_ts":1767225601}`,
		},
	}
	for _, tt := range tests {
		if got := string(tt.doc.AppendJSON(nil)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
