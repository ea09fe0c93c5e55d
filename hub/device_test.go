package hub_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/hub"
)

const goodKey = "MDEyMzQ1Njc4OWFiY2RlZg==" // 16 bytes

func TestIDs(t *testing.T) {
	h := newHub(t)
	for id, ok := range map[string]bool{
		"d1": true, "A-b:c.d%e_f*g?h!i(j)k,l=m@n;o'": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a#": false, "a+b": false, "a\x00": false, "$sys": false, "ä": false, "a\n": false,
	} {
		_, err := h.PutDevice(t.Context(), &hub.Device{DeviceID: id}, "")
		if ok != (err == nil) || err != nil && !errors.Is(err, hub.ErrArgument) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := h.Device(t.Context(), hub.ID{Device: "D1"}); !errors.Is(err, hub.ErrDeviceNotFound) {
		t.Errorf("ids must be case-sensitive: %v", err)
	}
}

func TestPutDeviceConditions(t *testing.T) {
	h := newHub(t)
	put := func(id hub.ID, ifMatch string) error {
		_, err := h.PutDevice(t.Context(), &hub.Device{DeviceID: id.Device, ModuleID: id.Module}, ifMatch)
		return err
	}
	d, m := hub.ID{Device: "d"}, hub.ID{Device: "d", Module: "m"}
	wantError(t, put(d, "*"), hub.ErrDeviceNotFound)
	wantError(t, put(m, ""), hub.ErrDeviceNotFound)
	wantError(t, put(d, ""), nil)
	wantError(t, put(d, ""), hub.ErrDeviceAlreadyExists)
	wantError(t, put(m, "x"), hub.ErrModuleNotFound)
	wantError(t, put(m, ""), nil)
	wantError(t, put(m, ""), hub.ErrModuleAlreadyExists)
	etag := h.get(d).ETag
	wantError(t, put(d, etag), nil)
	wantError(t, put(d, etag), hub.ErrPrecondition)
	wantError(t, put(d, "*"), nil)
	wantError(t, h.DeleteDevice(t.Context(), d, ""), hub.ErrPrecondition)
	wantError(t, h.DeleteDevice(t.Context(), d, etag), hub.ErrPrecondition)
	wantError(t, h.DeleteDevice(t.Context(), d, h.get(d).ETag), nil)
	wantError(t, h.DeleteDevice(t.Context(), d, "*"), hub.ErrDeviceNotFound)
	_, err := h.Device(t.Context(), m)
	wantError(t, err, hub.ErrModuleNotFound)
	_, err = h.TwinOf(t.Context(), d)
	wantError(t, err, hub.ErrDeviceNotFound)
}

func TestModulesAreLimited(t *testing.T) {
	h := newHub(t)
	h.device("d")
	for n := range 20 {
		h.device(fmt.Sprintf("d/m%02d", n))
	}
	_, err := h.PutDevice(t.Context(), &hub.Device{DeviceID: "d", ModuleID: "m20"}, "")
	wantError(t, err, hub.ErrTooManyModules)
	modules, err := h.Modules(t.Context(), "d")
	if err != nil || len(modules) != 20 || modules[3].ModuleID != "m03" || modules[0].Status != "" {
		t.Errorf("%d modules, %v", len(modules), err)
	}
	devices, err := h.Devices(t.Context(), 1000)
	if err != nil || len(devices) != 1 {
		t.Errorf("%d devices, %v: modules are not devices", len(devices), err)
	}
}

func TestAuthentication(t *testing.T) {
	h := newHub(t)
	sas := func(primary, secondary hub.Secret) *hub.Authentication {
		return &hub.Authentication{SymmetricKey: hub.SymmetricKey{PrimaryKey: primary, SecondaryKey: secondary}}
	}
	for n, c := range []struct {
		in   *hub.Authentication
		want string // type, or "" for an error
	}{
		{nil, "sas"},
		{&hub.Authentication{Type: "sas"}, "sas"},
		{sas("", ""), "sas"},
		{sas(goodKey, goodKey), "sas"},
		{sas(goodKey, ""), ""},
		{sas("", goodKey), ""},
		{sas("c2hvcnQ=", goodKey), ""},
		{sas("not base64", goodKey), ""},
		{sas(hub.Secret(strings.Repeat("QUFB", 30)), goodKey), ""},
		{&hub.Authentication{X509Thumbprint: hub.X509Thumbprint{PrimaryThumbprint: strings.Repeat("aB", 20)}}, "selfSigned"},
		{&hub.Authentication{Type: "selfSigned", X509Thumbprint: hub.X509Thumbprint{SecondaryThumbprint: strings.Repeat("AB:", 31) + "AB"}}, "selfSigned"},
		{&hub.Authentication{Type: "selfSigned"}, ""},
		{&hub.Authentication{Type: "selfSigned", X509Thumbprint: hub.X509Thumbprint{PrimaryThumbprint: "abcd"}}, ""},
		{&hub.Authentication{Type: "certificateAuthority"}, "certificateAuthority"},
		{&hub.Authentication{Type: "none"}, "none"},
		{&hub.Authentication{Type: "password"}, ""},
	} {
		d, err := h.PutDevice(t.Context(), &hub.Device{DeviceID: fmt.Sprint("d", n), Authentication: c.in}, "")
		switch {
		case c.want == "":
			wantError(t, err, hub.ErrArgument)
		case err != nil || d.Authentication.Type != c.want:
			t.Errorf("%d: %+v, %v", n, d, err)
		case c.want == "sas" && (d.Authentication.SymmetricKey.PrimaryKey == "" || d.Authentication.SymmetricKey.SecondaryKey == ""):
			t.Errorf("%d: a key is empty", n)
		}
	}
}

func TestUpdateKeepsAndRenews(t *testing.T) {
	h := newHub(t)
	before := h.device("d")
	after, err := h.PutDevice(t.Context(), &hub.Device{
		DeviceID: "d", Status: "disabled", StatusReason: "lost", GenerationID: "mine", ETag: "mine", CloudToDeviceMessageCount: 7,
	}, "*")
	if err != nil {
		t.Fatal(err)
	}
	if after.GenerationID != before.GenerationID || after.ETag == before.ETag || after.ETag == "mine" || after.CloudToDeviceMessageCount != 0 {
		t.Errorf("%+v: the generation stays, the etag changes, neither is the caller's", after)
	}
	if after.StatusUpdatedTime.IsZero() || after.Status != "disabled" {
		t.Errorf("%+v: the status changed", after)
	}
	if after.Authentication.SymmetricKey == before.Authentication.SymmetricKey {
		t.Error("an update without authentication must bring new keys")
	}
	_, err = h.PutDevice(t.Context(), &hub.Device{DeviceID: "d", Status: "asleep"}, "*")
	wantError(t, err, hub.ErrArgument)
	if err := h.DeleteDevice(t.Context(), hub.ID{Device: "d"}, "*"); err != nil {
		t.Fatal(err)
	}
	if again := h.device("d"); again.GenerationID == before.GenerationID {
		t.Error("a new device of the same id must have a new generation")
	}
}

const deviceJSON = `{
	"deviceId": "d1", "moduleId": "m1", "generationId": "637", "etag": "ZQ==", "connectionState": "Disconnected",
	"status": "enabled", "statusReason": "why",
	"connectionStateUpdatedTime": "0001-01-01T00:00:00", "statusUpdatedTime": "2026-01-02T03:04:05.678Z", "lastActivityTime": "0001-01-01T00:00:00Z",
	"cloudToDeviceMessageCount": 3,
	"authentication": {
		"symmetricKey": {"primaryKey": "cA==", "secondaryKey": null},
		"x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": "AB"}, "type": "sas"},
	"capabilities": {"iotEdge": true}, "deviceScope": "s", "parentScopes": ["p"], "managedBy": "me", "unknown": 1}`

func TestDeviceJSON(t *testing.T) {
	var d, again hub.Device
	if err := json.Unmarshal([]byte(deviceJSON), &d); err != nil {
		t.Fatal(err)
	}
	want := hub.Device{
		DeviceID: "d1", ModuleID: "m1", GenerationID: "637", ETag: "ZQ==", ConnectionState: "Disconnected",
		Status: "enabled", StatusReason: "why", StatusUpdatedTime: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
		CloudToDeviceMessageCount: 3,
		Authentication: &hub.Authentication{Type: "sas", SymmetricKey: hub.SymmetricKey{PrimaryKey: "cA=="},
			X509Thumbprint: hub.X509Thumbprint{SecondaryThumbprint: "AB"}},
		Capabilities: &hub.Capabilities{IotEdge: true}, DeviceScope: "s", ParentScopes: []string{"p"}, ManagedBy: "me",
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	b, err := json.Marshal(&d)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &again); err != nil || !cmp.Equal(d, again) {
		t.Errorf("there and back: %v\n%s", err, cmp.Diff(d, again))
	}
	for _, name := range []string{"primaryKey", "secondaryKey", "x509Thumbprint", "connectionStateUpdatedTime", "iotEdge"} {
		if !bytes.Contains(b, []byte(`"`+name+`"`)) {
			t.Errorf("%s is missing in %s", name, b)
		}
	}
	if err := json.Unmarshal([]byte(`{"statusUpdatedTime":"yesterday"}`), &again); err == nil {
		t.Error("a bad time was taken")
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	policy, _ := h.policies.Policy("iothubowner")
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("m", "a", d, "b", *d, "c", d.Authentication, "d", d.Authentication.SymmetricKey,
			"e", d.Authentication.SymmetricKey.PrimaryKey, "f", policy, "g", &policy)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, d, d.Authentication, d.Authentication.SymmetricKey, policy)
	}
	for _, key := range []hub.Secret{d.Authentication.SymmetricKey.PrimaryKey, d.Authentication.SymmetricKey.SecondaryKey, policy.PrimaryKey} {
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.Trim(string(text), `"`)
		if got := out.String(); strings.Contains(got, plain) || strings.Contains(got, fmt.Sprintf("%x", plain)) {
			t.Errorf("a key is shown:\n%s", got)
		}
	}
}

func TestConnectionStringOfDevice(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	key, err := json.Marshal(d.Authentication.SymmetricKey.PrimaryKey)
	if err != nil {
		t.Fatal(err)
	}
	want := "HostName=h;DeviceId=d;SharedAccessKey=" + strings.Trim(string(key), `"`)
	if got := d.ConnectionString("h"); got != want {
		t.Errorf("got %s", got)
	}
}
