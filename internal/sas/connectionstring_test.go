package sas

import (
	"fmt"
	"strings"
	"testing"
)

func TestConnectionStrings(t *testing.T) {
	for _, text := range []string{
		"HostName=localhost;DeviceId=d1;SharedAccessKey=" + key,
		"HostName=localhost:18883;DeviceId=d1;ModuleId=m1;SharedAccessKey=" + key,
		"HostName=a.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=" + key,
		"HostName=a.azure-devices.net;DeviceId=d1;SharedAccessKey=" + key + ";GatewayHostName=localhost",
		"HostName=h;DeviceId=d1;SharedAccessSignature=" + knownEncoded,
		"HostName=h;DeviceId=d=1;x509=true",
	} {
		c, err := ParseConnectionString(text)
		if err != nil || c.Encode() != text {
			t.Errorf("%s:\n%s, %v", text, c.Encode(), err)
		}
	}
	c, err := ParseConnectionString("hostname=h;DEVICEID=d;sharedaccesskey=" + key + ";X509=False; ")
	if err != nil || c != (ConnectionString{HostName: "h", DeviceID: "d", SharedAccessKey: key}) {
		t.Errorf("case: %v, %v", c, err)
	}
}

func TestConnectionStringHidesKeys(t *testing.T) {
	c := ConnectionString{HostName: "h", DeviceID: "d", SharedAccessKey: key, SharedAccessSignature: knownEncoded}
	for _, verb := range []string{"%v", "%+v", "%s", "%#v", "%q"} {
		if got := fmt.Sprintf(verb, c); strings.Contains(got, key) || strings.Contains(got, "sig=") || !strings.Contains(got, "***") {
			t.Errorf("%s shows %s", verb, got)
		}
	}
}

func TestConnectionStringErrorsNameTheKey(t *testing.T) {
	const end = ";DeviceId=d;x509=true"
	for text, want := range map[string]string{
		"":                                          "part 1",
		"HostName":                                  "part 1",
		"HostName=h;;DeviceId=d":                    "part 2",
		"HostName=" + end:                           "HostName is empty",
		"DeviceId=d;x509=true":                      "HostName is missing",
		"HostName=h;x509=true":                      "DeviceId or SharedAccessKeyName is missing",
		"HostName=h;ModuleId=m;x509=1":              "DeviceId is missing",
		"HostName=h;DeviceId=d":                     "SharedAccessKey",
		"HostName=h;HostName=h" + end:               "HostName stands twice",
		"HostName=h;Secret=abc" + end:               `"Secret"`,
		"HostName=h;DeviceId=d;x509=maybe":          "x509",
		"HostName=h;DeviceId=d;SharedAccessKey=abc": "SharedAccessKey: want base64",
	} {
		_, err := ParseConnectionString(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "abc") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzConnectionString: what parses encodes to what parses to the same.
func FuzzConnectionString(f *testing.F) {
	f.Add("HostName=localhost;DeviceId=d1;ModuleId=m;SharedAccessKey=" + key + ";GatewayHostName=g")
	f.Add("HostName=h;SharedAccessKeyName=iothubowner;SharedAccessSignature=" + knownEncoded)
	f.Add("HostName=h;DeviceId=d;x509=true")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConnectionString(text)
		if err != nil {
			return
		}
		again, err := ParseConnectionString(c.Encode())
		if err != nil || again != c {
			t.Fatalf("%q: %q, %v", text, c.Encode(), err)
		}
	})
}
