package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/hub"
)

// values are the parts of a twin without metadata, as JSON.
func values(t testing.TB, twin *hub.Twin) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"t": twin.Tags, "d": twin.Desired.Values, "r": twin.Reported.Values})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTwinOfANewDevice(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_700_000, time.UTC)
	h := newHub(t, func(o *hub.Options) { o.Now = func() time.Time { return at } })
	d := h.device("d")
	twin, err := h.TwinOf(t.Context(), d.ID())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(twin)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"authenticationType":"sas","capabilities":{"iotEdge":false},"cloudToDeviceMessageCount":0,` +
		`"connectionState":"Disconnected","deviceEtag":"` + d.ETag + `","deviceId":"d","etag":"AAAAAAAAAAE=",` +
		`"lastActivityTime":"0001-01-01T00:00:00Z","properties":{` +
		`"desired":{"$metadata":{"$lastUpdated":"2026-01-02T03:04:05.006Z","$lastUpdatedVersion":1},"$version":1},` +
		`"reported":{"$metadata":{"$lastUpdated":"2026-01-02T03:04:05.006Z"},"$version":1}},` +
		`"status":"enabled","statusUpdateTime":"0001-01-01T00:00:00Z","tags":{},"version":2,` +
		`"x509Thumbprint":{"PrimaryThumbprint":null,"SecondaryThumbprint":null}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestTwinPatches(t *testing.T) {
	h := newHub(t)
	id := h.device("d").ID()
	s, r := h.connect(h.get(id), hub.FeedDesired)
	for _, c := range []struct {
		op, patch, want, pushed string
	}{
		{"patch", `{"tags":{"a":{"b":1,"c":2}}}`, `{"d":{},"r":{},"t":{"a":{"b":1,"c":2}}}`, ``},
		{"patch", `{"tags":{"a":{"b":null},"x":[1,2]}}`, `{"d":{},"r":{},"t":{"a":{"c":2},"x":[1,2]}}`, ``},
		{"patch", `{"tags":null,"etag":"ignored","deviceId":"x"}`, `{"d":{},"r":{},"t":{}}`, ``},
		{"patch", `{"properties":{"desired":{"n":1.10,"big":4503599627370496}}}`,
			`{"d":{"big":4503599627370496,"n":1.10},"r":{},"t":{}}`, `desired 2 {"$version":2,"big":4503599627370496,"n":1.10}`},
		{"patch", `{"properties":{"desired":{"n":null,"o":{"p":{"q":"r"}},"$version":77,"$metadata":{}}}}`,
			`{"d":{"big":4503599627370496,"o":{"p":{"q":"r"}}},"r":{},"t":{}}`, `desired 3 {"$version":3,"n":null,"o":{"p":{"q":"r"}}}`},
		{"patch", `{"properties":{"desired":{"o":[{"a":[]}],"gone":null}}}`,
			`{"d":{"big":4503599627370496,"o":[{"a":[]}]},"r":{},"t":{}}`, `desired 4 {"$version":4,"gone":null,"o":[{"a":[]}]}`},
		{"report", `{"x":{"y":1},"z":true}`, `{"d":{"big":4503599627370496,"o":[{"a":[]}]},"r":{"x":{"y":1},"z":true},"t":{}}`, ``},
		{"report", `{"x":{"y":null}}`, `{"d":{"big":4503599627370496,"o":[{"a":[]}]},"r":{"x":{},"z":true},"t":{}}`, ``},
		{"replace", `{"tags":{"s":"n"},"properties":{"desired":{"o":{"k":1,"l":{"m":2,"null":null}}}}}`,
			`{"d":{"o":{"k":1,"l":{"m":2}}},"r":{"x":{},"z":true},"t":{"s":"n"}}`,
			`desired 5 {"$version":5,"big":null,"o":{"k":1,"l":{"m":2}}}`},
		{"replace", `{"properties":{"desired":{"o":{"l":{"n":3}}}}}`,
			`{"d":{"o":{"l":{"n":3}}},"r":{"x":{},"z":true},"t":{}}`,
			`desired 6 {"$version":6,"o":{"k":null,"l":{"m":null,"n":3}}}`},
		{"patch", `{"properties":{"desired":null}}`, `{"d":{},"r":{"x":{},"z":true},"t":{}}`, `desired 7 {"$version":7,"o":null}`},
	} {
		var err error
		switch c.op {
		case "patch":
			_, err = h.PatchTwin(t.Context(), id, []byte(c.patch), "*")
		case "replace":
			_, err = h.ReplaceTwin(t.Context(), id, []byte(c.patch), "")
		default:
			_, err = s.Report(t.Context(), []byte(c.patch))
		}
		twin, err2 := h.TwinOf(t.Context(), id)
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", c.patch, err, err2)
		}
		if got := values(t, twin); got != c.want {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.op, c.patch, got, c.want)
		}
		h.wantEvents(r, c.pushed)
	}
	view, err := s.Twin(t.Context())
	if want := `{"desired":{"$version":7},"reported":{"$version":3,"x":{},"z":true}}`; err != nil || string(view) != want {
		t.Errorf("the device sees %s, %v, want %s", view, err, want)
	}
}

func TestTwinMetadata(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := newHub(t, func(o *hub.Options) { o.Now = func() time.Time { return now } })
	id := h.device("d").ID()
	for _, patch := range []string{`{"a":{"b":1,"c":1},"d":[{"e":1}]}`, `{"a":{"b":2}}`, `{"a":{"c":null}}`} {
		now = now.Add(time.Second)
		if _, err := h.PatchTwin(t.Context(), id, []byte(`{"properties":{"desired":`+patch+`}}`), ""); err != nil {
			t.Fatal(err)
		}
	}
	twin, err := h.TwinOf(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var show func(name string, m *hub.Metadata) string
	show = func(name string, m *hub.Metadata) string {
		out := fmt.Sprintf("%s@%d/%d", name, m.Updated.Second(), m.Version)
		for _, child := range []string{"a", "b", "c", "d", "e"} {
			if m.Children[child] != nil {
				out += " " + show(name+"."+child, m.Children[child])
			}
		}
		return out
	}
	if got, want := show("", twin.Desired.Metadata), "@3/4 .a@3/4 .a.b@2/3 .d@1/2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if twin.ETag != "AAAAAAAAAAQ=" || twin.Version != 5 || twin.Desired.Version != 4 {
		t.Errorf("etag %s, version %d, desired %d", twin.ETag, twin.Version, twin.Desired.Version)
	}
}

func TestTwinETags(t *testing.T) {
	h := newHub(t)
	id := h.device("d").ID()
	s, _ := h.connect(h.get(id), 0)
	patch := func(ifMatch string) error {
		_, err := h.PatchTwin(t.Context(), id, []byte(`{"tags":{"a":1}}`), ifMatch)
		return err
	}
	wantError(t, patch("AAAAAAAAAAE="), nil)
	wantError(t, patch("AAAAAAAAAAE="), hub.ErrPrecondition)
	if _, err := s.Report(t.Context(), []byte(`{"r":1}`)); err != nil {
		t.Fatal(err)
	}
	wantError(t, patch("AAAAAAAAAAI="), nil) // a report does not change the etag
	wantError(t, patch("*"), nil)
	wantError(t, patch(""), nil)
	_, err := h.ReplaceTwin(t.Context(), id, []byte(`{}`), "stale")
	wantError(t, err, hub.ErrPrecondition)
	_, err = h.PatchTwin(t.Context(), hub.ID{Device: "x"}, []byte(`{}`), "")
	wantError(t, err, hub.ErrDeviceNotFound)
}

func TestTwinLimits(t *testing.T) {
	h := newHub(t)
	id := h.device("d").ID()
	s, _ := h.connect(h.get(id), 0)
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	filled := func(n int) string { // an object of n bytes
		var b strings.Builder
		for i := 0; b.Len() < n-3500; i++ {
			fmt.Fprintf(&b, `"k%03d":"%s",`, i, strings.Repeat("x", 3000))
		}
		rest := n - b.Len() - len(`{"z":""}`)
		return "{" + b.String() + `"z":"` + strings.Repeat("x", rest) + `"}`
	}
	for name, c := range map[string]struct {
		patch string
		want  error
	}{
		"empty":               {`{}`, nil},
		"ten levels":          {nested(11), nil},
		"eleven levels":       {nested(12), hub.ErrArgument},
		"ten levels, arrays":  {`{"a":` + strings.Repeat("[", 10) + strings.Repeat("]", 10) + `}`, nil},
		"arrays too deep":     {`{"a":` + strings.Repeat("[", 11) + strings.Repeat("]", 11) + `}`, hub.ErrArgument},
		"long key":            {`{"` + strings.Repeat("k", 1024) + `":1}`, nil},
		"key too long":        {`{"` + strings.Repeat("k", 1025) + `":1}`, hub.ErrArgument},
		"empty key":           {`{"":1}`, hub.ErrArgument},
		"key with a dot":      {`{"a.b":1}`, hub.ErrArgument},
		"key with a dollar":   {`{"$version":1}`, hub.ErrArgument},
		"key with a hash":     {`{"a":{"#":1}}`, hub.ErrArgument},
		"key with a space":    {`{"a b":1}`, hub.ErrArgument},
		"key with a control":  {`{"a\u0007":1}`, hub.ErrArgument},
		"long text":           {`{"a":"` + strings.Repeat("x", 4096) + `"}`, nil},
		"text too long":       {`{"a":"` + strings.Repeat("x", 4097) + `"}`, hub.ErrArgument},
		"text in an array":    {`{"a":["` + strings.Repeat("x", 4097) + `"]}`, hub.ErrArgument},
		"lowest integer":      {`{"a":-4503599627370496}`, nil},
		"integer too low":     {`{"a":-4503599627370497}`, hub.ErrArgument},
		"integer too long":    {`{"a":99999999999999999999}`, hub.ErrArgument},
		"double":              {`{"a":1e300}`, nil},
		"no double":           {`{"a":1e999}`, hub.ErrArgument},
		"null in an array":    {`{"a":[1,null]}`, hub.ErrArgument},
		"null in an object":   {`{"a":[{"b":null}]}`, nil},
		"not an object":       {`[]`, hub.ErrArgument},
		"null":                {`null`, hub.ErrArgument},
		"text":                {`"a"`, hub.ErrArgument},
		"nothing":             {``, hub.ErrArgument},
		"cut off":             {`{"a":1`, hub.ErrArgument},
		"two":                 {`{} {}`, hub.ErrArgument},
		"bad UTF-8":           {"{\"a\":\"\xff\"}", hub.ErrArgument},
		"full":                {filled(32 << 10), nil},
		"one byte too much":   {filled(32<<10 + 1), hub.ErrArgument},
		"larger than a patch": {`{"a":"` + strings.Repeat("x", 1<<18) + `"}`, hub.ErrTooLarge},
	} {
		_, err := s.Report(t.Context(), []byte(c.patch))
		if !errors.Is(err, c.want) {
			t.Errorf("report, %s: %v, want %v", name, err, c.want)
		}
		_, err = h.PatchTwin(t.Context(), id, []byte(`{"properties":{"desired":`+c.patch+`}}`), "")
		switch name {
		case "key with a dollar", "null", "two", "nothing", "cut off": // $version is dropped; null clears; the rest is other JSON
		default:
			if !errors.Is(err, c.want) {
				t.Errorf("desired, %s: %v, want %v", name, err, c.want)
			}
		}
		empty := []byte(`{}`)
		if _, err := h.ReplaceTwin(t.Context(), id, empty, ""); err != nil {
			t.Fatal(err)
		}
		clearReported(t, h, s)
	}
	_, err := h.PatchTwin(t.Context(), id, []byte(`{"tags":`+filled(8<<10+1)+`}`), "")
	wantError(t, err, hub.ErrArgument)
	_, err = h.PatchTwin(t.Context(), id, []byte(`{"tags":`+filled(8<<10)+`}`), "")
	wantError(t, err, nil)
	for _, patch := range []string{`{"tags":1}`, `{"properties":[]}`, `{"properties":{"desired":"x"}}`} {
		_, err = h.PatchTwin(t.Context(), id, []byte(patch), "")
		wantError(t, err, hub.ErrArgument)
	}
}

// clearReported removes every reported property.
func clearReported(t testing.TB, h *testHub, s *hub.Session) {
	t.Helper()
	twin, err := h.TwinOf(context.Background(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	patch := map[string]any{}
	for key := range twin.Reported.Values {
		patch[key] = nil
	}
	b, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Report(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func TestDesiredArrivesInOrder(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	s, r := h.connect(d, hub.FeedDesired)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 25 {
				patch := fmt.Sprintf(`{"properties":{"desired":{"w%d":%d}}}`, w, n)
				if _, err := h.PatchTwin(t.Context(), d.ID(), []byte(patch), ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for n := range 25 {
			if _, err := s.Report(t.Context(), fmt.Appendf(nil, `{"n":%d}`, n)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	var version int64
	for n, event := range strings.Split(r.take(), ", ") {
		if _, err := fmt.Sscanf(event, "desired %d", &version); err != nil || version != int64(n+2) {
			t.Fatalf("event %d: %s", n, event)
		}
	}
	if version != 101 {
		t.Errorf("the last version is %d, want 101", version)
	}
	if err := s.Unsubscribe(t.Context(), hub.FeedDesired); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PatchTwin(t.Context(), d.ID(), []byte(`{"properties":{"desired":{"x":1}}}`), ""); err != nil {
		t.Fatal(err)
	}
	h.wantEvents(r, "")
}

// FuzzTwinPatch: a patch is refused, or what comes of it keeps the limits and
// reads back the same; and a device that merges what it was sent has what the
// service sees.
func FuzzTwinPatch(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"b":null,"c":[1,{"d":2.50}]}}`, `{"a":1e5}`, `{"a":{}}`, `null`, `{"a":[null]}`, `{"a":4503599627370497}`,
		`{"old":{"x":null}}`, `{"old":{"x":{"y":1}},"gone":{"a":{"b":null}}}`,
	} {
		f.Add([]byte(seed))
	}
	h := newHub(f)
	d := h.device("d")
	_, r := h.connect(d, hub.FeedDesired)
	f.Fuzz(func(t *testing.T, patch []byte) {
		start := `{"properties":{"desired":{"old":{"x":1,"z":[1]},"gone":true}}}`
		before, err := h.ReplaceTwin(t.Context(), d.ID(), []byte(start), "")
		if err != nil {
			t.Fatal(err)
		}
		r.take()
		device := map[string]any{"old": map[string]any{"x": json.Number("1"), "z": []any{json.Number("1")}}, "gone": true}
		for _, change := range []func(context.Context, hub.ID, []byte, string) (*hub.Twin, error){h.PatchTwin, h.ReplaceTwin} {
			after, err := change(t.Context(), d.ID(), fmt.Appendf(nil, `{"properties":{"desired":%s}}`, patch), "")
			if err != nil {
				continue
			}
			b, err := json.Marshal(after.Desired.Values)
			if err != nil || len(b) > 32<<10 {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
			stored, err := h.TwinOf(t.Context(), d.ID())
			if err != nil || values(t, stored) != values(t, after) {
				t.Fatalf("stored %s, answered %s, %v", values(t, stored), values(t, after), err)
			}
			merge(device, pushed(t, r))
			if mine, err := json.Marshal(device); err != nil || string(mine) != string(b) {
				t.Fatalf("the device has %s, the service %s, %v", mine, b, err)
			}
			if after.Version <= before.Version {
				t.Fatal("the version does not grow")
			}
			before = after
		}
	})
}

// pushed decodes the one patch that the device got.
func pushed(t testing.TB, r *door) map[string]any {
	t.Helper()
	event := r.take()
	_, text, _ := strings.Cut(strings.TrimPrefix(event, "desired "), " ")
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var patch map[string]any
	if err := dec.Decode(&patch); err != nil {
		t.Fatalf("the device got %q: %v", event, err)
	}
	delete(patch, "$version")
	return patch
}

// merge is RFC 7396, as its section 2 writes it.
func merge(target, patch map[string]any) {
	for key, value := range patch {
		object, ok := value.(map[string]any)
		if value == nil {
			delete(target, key)
			continue
		}
		if !ok {
			target[key] = value
			continue
		}
		child, ok := target[key].(map[string]any)
		if !ok {
			child = map[string]any{}
			target[key] = child
		}
		merge(child, object)
	}
}
