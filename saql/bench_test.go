package saql

import (
	"encoding/json"
	"testing"
)

// telemetryBody is a message of a device, of 200 bytes.
var telemetryBody = []byte(`{"deviceId":"machine-0042","ts":"2026-01-31T12:00:00.123Z","temperature":71.25,"humidity":40.5,"pressure":101325,"vibration":{"x":0.0213,"y":0.0108,"z":0.9977},"status":"running","line":"a","firmware":"1"}`)

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name    string
		columns []DecodeColumn
	}{
		{"3columns", []DecodeColumn{{"deviceId"}, {"ts"}, {"temperature"}}},
		{"nested", []DecodeColumn{{"deviceId"}, {"vibration", "z"}}},
		{"whole", []DecodeColumn{{}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			d := NewDecoder(c.columns)
			values := make([]Value, len(c.columns))
			b.SetBytes(int64(len(telemetryBody)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Decode(telemetryBody, values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r, err := parseRecord(string(telemetryBody))
	if err != nil {
		b.Fatal(err)
	}
	spread := Schema{Columns: []SchemaColumn{{Spread: true}}}
	columns := Schema{Columns: []SchemaColumn{{Name: "deviceId"}, {Name: "windowEnd"}, {Name: "avg"}, {Name: "count"}}}
	for _, c := range []struct {
		name   string
		schema *Schema
		values []Value
	}{
		{"spread", &spread, []Value{r}},
		{"4columns", &columns, []Value{String("machine-0042"), Datetime(639000000000000000), Float(71.23706896551724), Bigint(1234)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = c.schema.AppendJSON(out[:0], c.values)
			}
			if !json.Valid(out) {
				b.Fatalf("%s", out)
			}
		})
	}
}

func BenchmarkParseDatetime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDatetime("2026-01-31T12:00:00.123Z"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLike(b *testing.B) {
	p := CompileLike("%press%[0-9]")
	for b.Loop() {
		if !p.Match("the press of line 4") {
			b.Fatal("no match")
		}
	}
}
