package stream

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/telemetry"
)

func packed(t testing.TB, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zlib":
		w = zlib.NewWriter(&b)
	default:
		w, _ = flate.NewWriter(&b, flate.BestSpeed)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wide(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// made makes the rows of a message of one input with the columns a, b.c and *.
func made(t testing.TB, m telemetry.Message, table ...saql.TableColumn) []string {
	t.Helper()
	plan := InputPlan{Columns: []InputColumn{{Path: []string{"a"}}, {Path: []string{"b", "c"}}, {}}, Table: table}
	in := newIntake(newRowMaker(plan, IngestOptions{}, false), newTimeline(false, false, Policy{}), 100, resume{after: -1})
	m.EnqueuedAt = trialBase
	in.add([]telemetry.Message{m})
	in.through(trialBase.Add(1))
	var r run
	if err := in.cut(&r); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range r.events {
		if e.dead != nil {
			all = append(all, fmt.Sprintf("%d %s: %s", e.index, e.dead.Cause, e.dead.Reason))
			continue
		}
		text := fmt.Append(nil, e.index)
		for _, v := range e.values {
			text = saql.AppendJSON(append(text, ' '), v)
		}
		all = append(all, string(text))
	}
	return all
}

// TestBody reads bodies as devices send them.
func TestBody(t *testing.T) {
	const text = `{"a":"é€😀","b":{"c":1}}`
	const row = `0 "é€😀" 1 ` + text
	deep := strings.Repeat(`{"x":`, 600) + "1" + strings.Repeat("}", 600)
	for _, c := range []struct {
		name, encoding, kind, body string
		want                       []string
	}{
		{"plain", "", "", text, []string{row}},
		{"utf-8", "UTF-8", "application/json; charset=utf-8", text, []string{row}},
		{"utf-8 with mark", "", "", "\xef\xbb\xbf" + text, []string{row}},
		{"utf-16 with mark, little", "utf-16", "", "\xff\xfe" + wide(binary.LittleEndian, text), []string{row}},
		{"utf-16 with mark, big, unsaid", "", "", "\xfe\xff" + wide(binary.BigEndian, text), []string{row}},
		{"utf-16, little", "utf-16", "", wide(binary.LittleEndian, text), []string{row}},
		{"utf-16, big", "utf-16", "", wide(binary.BigEndian, text), []string{row}},
		{"utf-16be by type", "", "application/json;charset=UTF-16BE", wide(binary.BigEndian, text), []string{row}},
		{"utf-16 of odd length", "utf-16", "", "{\x00}", []string{"0 body: UTF-16 of an odd number of bytes"}},
		{"utf-16 cut in a pair", "utf-16le", "", "{\x00\x3d\xd8", []string{"0 body: UTF-16 that ends in half a character"}},
		{"utf-16 with half a pair", "utf-16le", "", "{\x00\x3d\xd8}\x00", []string{"0 body: UTF-16 with half a character"}},
		{"latin-1", "iso-8859-1", "", text, []string{`0 body: the character set is none of UTF-8, UTF-16 and US-ASCII: "iso-8859-1"`}},
		{"gzip", "gzip", "", packed(t, "gzip", text), []string{row}},
		{"deflate", "deflate", "", packed(t, "raw", text), []string{row}},
		{"deflate with header", "Deflate", "", packed(t, "zlib", text), []string{row}},
		{"utf-16 in gzip", "utf-16, gzip", "", packed(t, "gzip", wide(binary.LittleEndian, text)), []string{row}},
		{"gzip in gzip", "gzip,gzip", "", packed(t, "gzip", packed(t, "gzip", text)), []string{row}},
		{"no gzip", "gzip", "", text, []string{"0 body: unpacking the body (gzip): gzip: invalid header"}},
		{"half a gzip", "gzip", "", packed(t, "gzip", text)[:20], []string{"0 body: unpacking the body (gzip): unexpected EOF"}},
		{"gzip bomb", "gzip", "", packed(t, "gzip", strings.Repeat(" ", MaxBody+1)), []string{"0 body: unpacking the body (gzip): the body is larger than 8 MB when unpacked"}},
		{"deflate bomb", "deflate", "", packed(t, "zlib", strings.Repeat(" ", MaxBody+1)), []string{"0 body: unpacking the body (deflate): the body is larger than 8 MB when unpacked"}},
		{"array", "", "", `[{"a":1},{"a":2,"b":3}, 4 ,{"a":"\u00e9"}]`, []string{`0 1 null {"a":1}`, `1 2 null {"a":2,"b":3}`, "2 body: byte 24: expected an object, found '4'", `3 "é" null {"a":"é"}`}},
		{"empty array", "", "", `[]`, nil},
		{"broken array", "", "", `[{"a":1},`, []string{"0 body: byte 9: expected a value, found the end"}},
		{"long array", "", "", "[" + strings.Repeat("{},", MaxRows) + "{}]", []string{"0 body: stream: an array with too many elements: over 32768"}},
		{"empty", "", "", "", []string{"0 body: byte 0: expected an object, found the end"}},
		{"deep", "", "", deep, []string{"0 body: byte 2560: nested deeper than 512"}},
		{"csv", "", "text/csv", "a,x,\"b\"\r\n1,\"q \"\"2\"\"\",3\r\n4\n", []string{`0 "1" null {"a":"1","x":"q \"2\"","b":"3"}`, `1 "4" null {"a":"4","x":null,"b":null}`}},
		{"csv with semicolons in gzip", "gzip", "text/csv; delimiter=\";\"", packed(t, "gzip", "a;b\n1,5;2\n"), []string{`0 "1,5" null {"a":"1,5","b":"2"}`}},
		{"csv without header", "", "text/csv", "", []string{"0 body: byte 0: expected a header, found the end"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := made(t, telemetry.Message{Body: []byte(c.body), Encoding: c.encoding, ContentType: c.kind})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCSVTable converts text as CREATE TABLE declares it.
func TestCSVTable(t *testing.T) {
	m := telemetry.Message{ContentType: "text/csv", Body: []byte("a,t\n1,2026-01-01\nx,\n")}
	got := made(t, m, saql.TableColumn{Name: saql.Name{Text: "A"}, Type: saql.KindBigint}, saql.TableColumn{Name: saql.Name{Text: "t"}, Type: saql.KindDatetime})
	want := []string{`0 1 null {"a":"1","t":"2026-01-01"}`, "1 table: column a: cannot cast the value \"x\" of type 'nvarchar(max)' to type 'bigint'; TRY_CAST gives NULL"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMetadata gives what a message carries beside its payload.
func TestMetadata(t *testing.T) {
	m := telemetry.Message{
		DeviceID: "d1", ModuleID: "m1", MessageID: "id", Partition: 3, Seq: 42, EnqueuedAt: trialBase, Body: []byte("{}"),
		System:     telemetry.Properties{{Key: telemetry.CorrelationID, Value: "c"}, {Key: telemetry.GenerationID, Value: "g"}, {Key: telemetry.AuthMethod, Value: "sas"}},
		Properties: telemetry.Properties{{Key: "p", Value: "v"}, {Key: "absent", Null: true}},
	}
	const at = `"2026-01-01T00:00:00.0000000Z"`
	for path, want := range map[string]string{
		"EventEnqueuedUtcTime": at, "eventprocessedutctime": at, "PartitionId": "3",
		"IoTHub":                    `{"MessageId":"id","CorrelationId":"c","ConnectionDeviceId":"d1","ConnectionDeviceGenerationId":"g","EnqueuedTime":` + at + `}`,
		"iothub.connectiondeviceid": `"d1"`, "IoTHub.ConnectionModuleId": `"m1"`, "IoTHub.AuthMethod": `"sas"`, "IoTHub.MessageSource": `"Telemetry"`, "IoTHub.Unknown": "null",
		"EventHub.SequenceNumber": "42", "EventHub.IoTConnectionDeviceId": `"d1"`, "EventHub.PartitionKey": `"d1"`,
		"User.P": `"v"`, "User.absent": "null", "User": `{"p":"v","absent":null}`,
		"EventId": `"00000003-0000-8001-8000-00000000002a"`, "Other": "null", "IoTHub.EnqueuedTime.x": "null",
	} {
		var a arena
		v := metadataAt(strings.Split(path, "."))(&a, &m, 1)
		if got := string(saql.AppendJSON(nil, v)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// TestIngestAllocates nothing per event once memory is there.
func TestIngestAllocates(t *testing.T) {
	plan := InputPlan{Columns: []InputColumn{{Path: []string{"deviceId"}}, {Path: []string{"temperature"}}, {Metadata: []string{"IoTHub", "ConnectionDeviceId"}}}}
	in := newIntake(newRowMaker(plan, IngestOptions{}, false), newTimeline(false, false, Policy{}), 1<<20, resume{after: -1})
	msgs := newBenchLog(1, 1).msgs
	var r run
	var seq int64
	round := func() {
		for i := range msgs {
			msgs[i].Seq, msgs[i].EnqueuedAt = seq, trialBase
			seq++
		}
		in.add(msgs)
		if err := in.cut(&r); err != nil {
			t.Fatal(err)
		}
		for i := range r.events {
			r.events[i].block.done()
		}
	}
	round()
	if n := testing.AllocsPerRun(50, round); n > float64(len(msgs))/100 {
		t.Errorf("%v allocations for %d events", n, len(msgs))
	}
}

// FuzzBody has no body make the intake fail in another way than by dead letters.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "", "")
	f.Add([]byte(`[{"a":1},2]`), "utf-8", "application/json")
	f.Add([]byte("a,b\n1,2\n"), "", "text/csv")
	f.Add([]byte(packed(f, "gzip", `{"a":1}`)), "gzip", "")
	f.Add([]byte(packed(f, "zlib", "a;b\n1;2")), "deflate", `text/csv; delimiter=";"`)
	f.Add([]byte("\xff\xfe{\x00}\x00"), "utf-16", "")
	f.Fuzz(func(t *testing.T, body []byte, encoding, kind string) {
		for _, line := range made(t, telemetry.Message{Body: body, Encoding: encoding, ContentType: kind}) {
			if line == "" {
				t.Error("an empty row")
			}
		}
	})
}
