package jsonscan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRows(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth)
	tests := []struct {
		name, body string
		want       []string // data and field, in turns
		err        error
	}{
		{"object", ` {"deviceId":"d1","t":1} `, []string{`{"deviceId":"d1","t":1}`, "d1"}, nil},
		{"array", `[{"deviceId":"a"}, {"deviceId" : "b"} ,3]`, []string{`{"deviceId":"a"}`, "a", `{"deviceId" : "b"}`, "b", `3`, ""}, nil},
		{"array in array", `[[{"deviceId":"a"}]]`, []string{`[{"deviceId":"a"}]`, ""}, nil},
		{"empty array", ` [ ] `, nil, nil},
		{"scalar", "\t-1.5e+3\n", []string{"-1.5e+3", ""}, nil},
		{"nested field is not the top", `{"x":{"deviceId":"no"},"y":["deviceId"]}`, []string{`{"x":{"deviceId":"no"},"y":["deviceId"]}`, ""}, nil},
		{"last of equal names", `{"deviceId":"a","deviceId":"b"}`, []string{`{"deviceId":"a","deviceId":"b"}`, "b"}, nil},
		{"last is no string", `{"deviceId":"a","deviceId":1}`, []string{`{"deviceId":"a","deviceId":1}`, ""}, nil},
		{"other case", `{"deviceid":"a"}`, []string{`{"deviceid":"a"}`, ""}, nil},
		{"escaped name and value", `{"\u0064evice\u0049d":"a\"\u00e9\\"}`, []string{`{"\u0064evice\u0049d":"a\"\u00e9\\"}`, `a"é\`}, nil},
		{"value as name", `{"a":"deviceId","b":"x"}`, []string{`{"a":"deviceId","b":"x"}`, ""}, nil},
		{"longer name", `{"deviceId2":"x"}`, []string{`{"deviceId2":"x"}`, ""}, nil},
		{"unicode", `{"deviceId":"Gerät"}`, []string{`{"deviceId":"Gerät"}`, "Gerät"}, nil},
		{"empty", ``, nil, ErrSyntax},
		{"two values", `{} {}`, nil, ErrSyntax},
		{"trailing comma", `[1,]`, nil, ErrSyntax},
		{"bare word", `nope`, nil, ErrSyntax},
		{"leading zero", `01`, nil, ErrSyntax},
		{"control character", "\"a\x01\"", nil, ErrSyntax},
		{"not UTF-8", "\"\xff\"", nil, ErrUTF8},
		{"as deep as allowed", deep + strings.Repeat("]", MaxDepth), []string{deep[1:] + strings.Repeat("]", MaxDepth-1), ""}, nil},
		{"too deep", deep + "[]" + strings.Repeat("]", MaxDepth), nil, ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := Rows([]byte(tt.body), "deviceId", nil)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if len(rows) != len(tt.want)/2 {
				t.Fatalf("%d rows %q, want %d", len(rows), rows, len(tt.want)/2)
			}
			for i, r := range rows {
				if string(r.Data) != tt.want[2*i] || string(r.Field) != tt.want[2*i+1] {
					t.Errorf("row %d: %q with field %q, want %q with %q", i, r.Data, r.Field, tt.want[2*i], tt.want[2*i+1])
				}
			}
		})
	}
}

// depth counts as the scanner does, on text that encoding/json accepts.
func depth(b []byte) (deepest int) {
	d, in := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case in && c == '\\':
			i++
		case c == '"':
			in = !in
		case !in && (c == '{' || c == '['):
			d++
			deepest = max(deepest, d)
		case !in && (c == '}' || c == ']'):
			d--
		}
	}
	return deepest
}

func FuzzRows(f *testing.F) {
	for _, s := range []string{
		`{"deviceId":"d1","t":[1,2.5,-0,1e9,{"a":null}],"b":true}`, `[{"deviceId":"a"},{"deviceId":"\ud83d\ude00"},[],{}]`,
		`"\u00zz"`, `[1,2`, `{"a":1,}`, " 12345678\t", "[\"0123456789abcdef\xc3\xa9\"]", `{"deviceId":"a","deviceId":{}}`, `-`, `1.`, `1e`, `{"":""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want := json.Valid(b) && utf8.Valid(b) && depth(b) <= MaxDepth
		if got := Valid(b); got != want {
			t.Fatalf("Valid(%q) = %v, want %v", b, got, want)
		}
		rows, err := Rows(b, "deviceId", nil)
		if (err == nil) != want {
			t.Fatalf("Rows(%q): %v, valid is %v", b, err, want)
		}
		if err != nil {
			return
		}
		var elements []json.RawMessage
		if json.Unmarshal(b, &elements) != nil || elements == nil {
			elements = []json.RawMessage{b}
		}
		if len(rows) != len(elements) {
			t.Fatalf("Rows(%q) gave %d rows, want %d", b, len(rows), len(elements))
		}
		for i, e := range elements {
			if got := string(rows[i].Data); got != strings.Trim(string(e), " \t\r\n") {
				t.Fatalf("Rows(%q)[%d] = %q, want %q", b, i, got, e)
			}
			var object map[string]any
			_ = json.Unmarshal(e, &object)
			if id, _ := object["deviceId"].(string); id != string(rows[i].Field) {
				t.Fatalf("Rows(%q)[%d]: field %q, want %q", b, i, rows[i].Field, id)
			}
		}
	})
}

func BenchmarkRows(b *testing.B) {
	body := []byte(`{"deviceId":"machine-0042","timestamp":"2026-01-01T00:00:01.123Z","temperature":21.53,"humidity":48.2,"pressure":1013.25,"vibration":0.0231}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	rows := make([]Row, 0, 4)
	for b.Loop() {
		rows, _ = Rows(body, "deviceId", rows[:0])
	}
}
