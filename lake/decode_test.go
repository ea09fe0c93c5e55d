package lake

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzDecode takes any payload apart: one row comes of it, whole exactly if it
// is not a JSON object, and the rest is JSON.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1]},"a.b":2}`, `{"a\u0000":"\ud800","":{}}`, `{"ts":"2026-01-01T00:00:00Z","deviceId":"x"}`, `{"a":1,"a":"2","A":true}`, `[`, `{"a":1e999}`, `{"x y":{"z":1},"rest":{"rest":"r"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b buffer
		d := newDecoder(&b, func(path string, _ Type) bool { return len(path) < 5 })
		for range 2 { // the second time with names that are known
			reason := d.decode(&Row{Sender: "d", EnqueuedAt: noon, Body: body})
			object := utf8.Valid(body) && json.Valid(body) && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
			if (reason == nil) != object && reasonText(orNone(reason)) != "nested too deep" {
				t.Fatalf("%q: %v", body, reason)
			}
		}
		if b.rows != 2 || len(b.time) != 2 || len(b.device) != 2 {
			t.Fatalf("%d rows", b.rows)
		}
		for i := range d.base[Rest].at {
			if rest := d.base[Rest].bytes(i); !json.Valid(rest) {
				t.Fatalf("%q: the rest is %q", body, rest)
			}
		}
		for _, c := range b.columns {
			if n := len(c.at); n == 2 && c.at[0] == c.at[1] || n > 2 {
				t.Fatalf("%q: column %q has two values of a row", body, c.path)
			}
		}
	})
}

func orNone(err error) error {
	if err == nil {
		return errNoObject
	}
	return err
}

// FuzzActions reads any text as a commit.
func FuzzActions(f *testing.F) {
	f.Add([]byte(`{"add":{"path":"year=2026/month=1/day=2/a%20b.parquet","partitionValues":{"year":"2026","month":"1","day":"2"},"size":1,"stats":"{\"numRecords\":3,\"minValues\":{\"time\":\"2026-01-01T00:00:00.000Z\"}}"}}`))
	f.Add([]byte(`{"metaData":{"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\"}}]}"}}` + "\n" + `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`))
	f.Add([]byte(`{"remove":{"path":"../x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		actions, err := decodeActions(data)
		if err != nil {
			return
		}
		s, err := emptySnapshot().apply(0, actions)
		if err != nil {
			return
		}
		for _, file := range s.Files() {
			if file.Path == "" || file.Path[0] == '/' {
				t.Errorf("path %q", file.Path)
			}
			_ = file.bounds.hasDevice("d") && file.bounds.hasTime(noon, noon)
		}
		if s.check() == nil && s.writable() == nil {
			s.names().place("x", Double)
		}
		_ = s.actions()
	})
}
