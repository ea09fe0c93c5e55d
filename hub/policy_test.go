package hub_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/sas"
)

func TestPolicyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "policies.json")
	fresh, err := hub.LoadPolicies(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v: want mode 0600", info, err)
	}
	again, err := hub.LoadPolicies(path)
	if err != nil || !cmp.Equal(fresh.All(), again.All()) {
		t.Errorf("read again: %v\n%s", err, cmp.Diff(fresh.All(), again.All()))
	}
	other, err := hub.LoadPolicies(path + "2")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for n, p := range fresh.All() {
		got = append(got, p.Name+": "+p.Permissions.String())
		if p.PrimaryKey == p.SecondaryKey || p.PrimaryKey == other.All()[n].PrimaryKey {
			t.Errorf("%s: a key is used twice", p.Name)
		}
	}
	want := []string{
		"device: DeviceConnect",
		"iothubowner: RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect",
		"registryRead: RegistryRead",
		"registryReadWrite: RegistryRead, RegistryWrite",
		"service: ServiceConnect",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	text, err := fresh.ConnectionString("service", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sas.ParseConnectionString(text)
	if err != nil || c.HostName != "localhost" || c.SharedAccessKeyName != "service" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := fresh.ConnectionString("nobody", "localhost"); err == nil || !strings.Contains(err.Error(), "iothubowner") {
		t.Errorf("unknown policy: %v", err)
	}
}

const onePolicy = `[
  {
    "name": "mine",
    "permissions": ["ServiceConnect"],
    "primaryKey": "MDEyMzQ1Njc4OWFiY2RlZg==",
    "secondaryKey": "MDEyMzQ1Njc4OWFiY2RlZg=="
  }
]
`

// onlyPolicy is the policy without the array around it.
var onlyPolicy = strings.TrimSuffix(strings.TrimPrefix(onePolicy, "["), "]\n")

func TestBadPolicyFiles(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want []string // in the error; none: the file is good
	}{
		"good":               {onePolicy, 0o600, nil},
		"group may read":     {onePolicy, 0o640, []string{"chmod 600 "}},
		"everybody may read": {onePolicy, 0o604, []string{"chmod 600 "}},
		"empty":              {"", 0o600, []string{":1:", "empty"}},
		"blank":              {" \n\n", 0o600, []string{"empty"}},
		"no policy":          {"[]", 0o600, []string{":1:", "no policy"}},
		"not JSON":           {"policies: []", 0o600, []string{":1:"}},
		"an object":          {"{}", 0o600, []string{"array"}},
		"cut off":            {onePolicy[:strings.Index(onePolicy, `"secondary`)], 0o600, []string{":6:"}},
		"no end":             {strings.TrimSuffix(onePolicy, "]\n"), 0o600, []string{"does not end"}},
		"more behind":        {onePolicy + "x", 0o600, []string{":9:", "behind"}},
		"unknown field":      {strings.Replace(onePolicy, "name", "nome", 1), 0o600, []string{":2:", "nome"}},
		"unknown permission": {strings.Replace(onePolicy, "ServiceConnect", "Everything", 1), 0o600, []string{":2:", "Everything", "RegistryRead"}},
		"no permission":      {strings.Replace(onePolicy, `"ServiceConnect"`, "", 1), 0o600, []string{":2:", "no permission"}},
		"no name":            {strings.Replace(onePolicy, "mine", "", 1), 0o600, []string{":2:", "no name"}},
		"short key":          {strings.Replace(onePolicy, "MDEyMzQ1Njc4OWFiY2RlZg==", "c2hvcnQ=", 1), 0o600, []string{":2:", "primaryKey", "16 to 64"}},
		"no key":             {strings.Replace(onePolicy, `"secondaryKey": "MDEyMzQ1Njc4OWFiY2RlZg=="`, `"secondaryKey": null`, 1), 0o600, []string{":2:", "secondaryKey"}},
		"a number":           {strings.Replace(onePolicy, `"mine"`, "7", 1), 0o600, []string{":3:"}},
		"syntax":             {strings.Replace(onePolicy, `"mine"`, `"mine`, 1), 0o600, []string{":3:"}},
		"twice":              {"[" + onlyPolicy + "," + onlyPolicy + "]", 0o600, []string{":9:", "twice"}},
	} {
		path := filepath.Join(t.TempDir(), "policies.json")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := hub.LoadPolicies(path)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range append(c.want, path) {
			if err != nil && !strings.Contains(err.Error(), part) || err != nil && strings.Contains(err.Error(), "MDEy") {
				t.Errorf("%s: %v, want %q", name, err, part)
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != c.text {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
	if _, err := hub.LoadPolicies(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}
