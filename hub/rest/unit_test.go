package rest

import (
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

func TestFindRoute(t *testing.T) {
	for _, test := range []struct {
		method, target string
		want           string // the route, or the error's name
		id             hub.ID
		lock           string
	}{
		{"GET", "/devices", "GET /devices", hub.ID{}, ""},
		{"GET", "/devices/", "GET /devices", hub.ID{}, ""},
		{"GET", "/Devices/d1", "GET /devices/{id}", hub.ID{Device: "d1"}, ""},
		{"GET", "/devices/D1/", "GET /devices/{id}", hub.ID{Device: "D1"}, ""},
		{"GET", "/devices/a%3Ab%20c", "GET /devices/{id}", hub.ID{Device: "a:b c"}, ""},
		{"GET", "/devices/a%2525", "GET /devices/{id}", hub.ID{Device: "a%25"}, ""},
		{"POST", "/devices/query", "POST /devices/query", hub.ID{}, ""},
		{"GET", "/devices/query", "GET /devices/{id}", hub.ID{Device: "query"}, ""},
		{"PATCH", "/twins/d/modules/m", "PATCH /twins/{id}/modules/{mid}", hub.ID{Device: "d", Module: "m"}, ""},
		{"DELETE", "/messages/servicebound/feedback/x", "DELETE /messages/serviceBound/feedback/{lock}", hub.ID{}, "x"},
		{"POST", "/devices/d/messages/devicebound/l/abandon", "POST /devices/{id}/messages/devicebound/{lock}/abandon", hub.ID{Device: "d"}, "l"},
		{"PATCH", "/devices/d", "GenericMethodNotAllowed", hub.ID{}, ""},
		{"HEAD", "/devices/d", "GenericMethodNotAllowed", hub.ID{}, ""},
		{"GET", "/", "GenericNotFound", hub.ID{}, ""},
		{"GET", "/devices//", "GenericNotFound", hub.ID{}, ""},
		{"GET", "/devices/a%2Fmodules", "GenericNotFound", hub.ID{}, ""},
		{"GET", "/devices/a%00", "GenericNotFound", hub.ID{}, ""},
		{"GET", "/jobs/v2/1/2/3/4/5/6/7", "GenericNotFound", hub.ID{}, ""},
	} {
		c := &call{Request: httptest.NewRequest(test.method, test.target, nil), w: httptest.NewRecorder()}
		r, err := c.find()
		got := ""
		if err != nil {
			got = err.(*hub.Error).Name
		} else {
			got = r.name
		}
		if got != test.want || err == nil && (c.id != test.id || c.lock != test.lock) {
			t.Errorf("%s %s: %s, %v, %q; want %s, %v, %q", test.method, test.target, got, c.id, c.lock, test.want, test.id, test.lock)
		}
	}
}

func TestIfMatch(t *testing.T) {
	for header, want := range map[string]string{
		``: "", `*`: "*", `"*"`: "*", `"AAA="`: "AAA=", `AAA=`: "AAA=", `W/"AAA="`: "AAA=", ` "A" `: "A",
		`""`: `""`, // a condition that nothing meets, not no condition
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("If-Match", header)
		if got := (&call{Request: r}).ifMatch(); got != want {
			t.Errorf("If-Match: %s: %q, want %q", header, got, want)
		}
	}
}

func TestUnmarshalPlace(t *testing.T) {
	for body, want := range map[string]string{
		"":                         "the body is empty, JSON is needed",
		"{\n\"a\":}":               "the body is not JSON: line 2, column 5: invalid character '}' looking for beginning of value",
		`{"deviceId":3}`:           "line 1, column 13: deviceId cannot be a number",
		`[]`:                       "line 1, column 1: the value cannot be a array",
		`{"deviceId":"a`:           "the body is not JSON: line 1, column 14: unexpected end of JSON input",
		`{"lastActivityTime":"x"}`: `the body: time "x": want RFC 3339`,
	} {
		var d hub.Device
		err := unmarshal([]byte(body), &d)
		if e, ok := err.(*hub.Error); !ok || e.Status != 400 || e.Message != want {
			t.Errorf("%q: %v, want %s", body, err, want)
		}
	}
}

func TestParseBatch(t *testing.T) {
	got, err := parseBatch([]byte(`[
		{"body":"aGk=","properties":{"iothub-app-tempAlert":"true","iothub-messageid":"m1","dt-subject":"c","other":"x","iothub-app-n":null}},
		{"body":"plain","base64Encoded":false,"properties":{"iothub-contenttype":"text/plain","iothub-contentencoding":"utf-8"}},
		{"body":""}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []telemetry.Message{
		{
			MessageID: "m1", Body: []byte("hi"),
			System:     telemetry.Properties{{Key: telemetry.Subject, Value: "c"}},
			Properties: telemetry.Properties{{Key: "n", Null: true}, {Key: "tempAlert", Value: "true"}, {Key: "other", Value: "x"}},
		},
		{ContentType: "text/plain", Encoding: "utf-8", Body: []byte("plain")},
		{Body: []byte{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{}", "[]", `[{"body":"%"}]`, `[{"body":1}]`, `[{"properties":{"a":1}}]`, `[{"body":"aGk="}`, "null"} {
		if msgs, err := parseBatch([]byte(bad)); err == nil {
			t.Errorf("%s is accepted: %v", bad, msgs)
		}
	}
}

// FuzzParseBatch: no body crashes the parser, and its errors are the sender's.
func FuzzParseBatch(f *testing.F) {
	f.Add([]byte(`[{"body":"aGk=","properties":{"iothub-app-a":"b"}}]`))
	f.Add([]byte(`[{"body":"x","base64Encoded":false}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		msgs, err := parseBatch(b)
		if e, ok := err.(*hub.Error); err != nil && (!ok || e.Status/100 != 4) {
			t.Fatalf("%q: %v", b, err)
		}
		if err == nil && len(msgs) == 0 {
			t.Fatalf("%q: neither messages nor an error", b)
		}
	})
}

func TestParseBag(t *testing.T) {
	got, err := parseBag("tempAlert=a%26b&empty=&none&a%20b=c")
	want := telemetry.Properties{{Key: "tempAlert", Value: "a&b"}, {Key: "empty"}, {Key: "none", Null: true}, {Key: "a b", Value: "c"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, bad := range []string{"%", "a=%zz", "=b"} {
		if _, err := parseBag(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// TestHeaderEscape: a value cannot end its header and begin another.
func TestHeaderEscape(t *testing.T) {
	for in, want := range map[string]string{"a b": "a b", "a\r\nSet-Cookie: x": "a%0D%0ASet-Cookie: x", "ü": "%C3%BC", "": ""} {
		if got := headerValue(in); got != want {
			t.Errorf("value %q: %q, want %q", in, got, want)
		}
	}
	if got, want := headerName("iothub-app-a b:ü"), "iothub-app-a%20b%3A%C3%BC"; got != want {
		t.Errorf("name: %q, want %q", got, want)
	}
}
