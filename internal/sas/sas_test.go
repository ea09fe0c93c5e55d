package sas

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

var (
	key     = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	other   = base64.StdEncoding.EncodeToString([]byte("another key, of 27 bytes..."))
	expires = time.Unix(1_900_000_000, 0)
)

// TestKnownTokens checks tokens that were made with openssl:
// printf '%s\n%s' "$sr" "$se" | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef -binary | base64
func TestKnownTokens(t *testing.T) {
	for _, c := range []struct{ name, token, covers, not string }{
		{"encoded sr, as Node and Python", knownEncoded, "devices/d1", "devices/d2"},
		{"unencoded sr", knownPlain, "devices/d1", "devices/d"},
		{"lower-case escapes, another order", knownLower, "devices/d1/modules/m1", "devices/d"},
	} {
		parsed, err := Parse(c.token)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !parsed.Verify(key) || parsed.Verify(other) {
			t.Errorf("%s: verified %v by the key and %v by another", c.name, parsed.Verify(key), parsed.Verify(other))
		}
		if !parsed.Covers(c.covers) || parsed.Covers(c.not) {
			t.Errorf("%s: covers %v and %v", c.name, parsed.Covers(c.covers), parsed.Covers(c.not))
		}
		if !parsed.Expires.Equal(expires) {
			t.Errorf("%s: expires %v", c.name, parsed.Expires)
		}
	}
}

func TestSign(t *testing.T) {
	token, err := Sign("localhost/devices/d1", key, "", expires)
	if err != nil || token != knownEncoded {
		t.Errorf("got %s, %v", token, err)
	}
	token, err = Sign("localhost", key, "a policy", expires)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(token)
	if err != nil || parsed.Policy != "a policy" || !parsed.Verify(key) || !parsed.Covers("") {
		t.Errorf("%s: %+v, %v", token, parsed, err)
	}
	if _, err := Sign("localhost", "not base64!", "", expires); err == nil || strings.Contains(err.Error(), "not base64!") {
		t.Errorf("bad key: %v", err)
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		sr, resource string
		want         bool
	}{
		{"localhost", "", true},
		{"localhost", "devices/d1", true},
		{"localhost/", "devices/d1", true},
		{"LocalHost:18883/devices/d1", "devices/d1", true},
		{"localhost/devices", "devices/d1", true},
		{"localhost/devices/d1/", "devices/d1", true},
		{"sb://localhost/devices/d1", "devices/d1", true},
		{"localhost/devices/d1", "devices/d1/modules/m1", true},
		{"localhost/devices/d1", "devices/d10", false},
		{"localhost/devices/d1", "devices/D1", false},
		{"localhost/devices/d1/modules/m1", "devices/d1", false},
		{"localhost/devices/d1", "", false},
		{"localhost/dev", "devices/d1", false},
		{"localhost%2Fdevices%2fd1", "devices/d1", true},
		{"localhost/devices%252Fd1", "devices/d1", false}, // encoded twice
		{"localhost/devices/d%2531", "devices/d1", false},
		{"localhost/devices/../devices/d1", "devices/d1", false},
	} {
		token := Token{}
		if err := token.setResource(c.sr); err != nil {
			t.Errorf("%s: %v", c.sr, err)
		}
		if got := token.Covers(c.resource); got != c.want {
			t.Errorf("%s covers %q: %v", c.sr, c.resource, got)
		}
	}
}

func TestMalformed(t *testing.T) {
	sig := "&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
	for _, token := range []string{
		"", "SharedAccessSignature", "SharedAccessSignature ", "Bearer sr=h&se=1" + sig,
		"SharedAccessSignature sr=h" + sig,
		"SharedAccessSignature sr=h&se=1",
		"SharedAccessSignature se=1" + sig,
		"SharedAccessSignature sr=h&sr=h&se=1" + sig,
		"SharedAccessSignature sr=h&se=1&se=2" + sig,
		"SharedAccessSignature sr=h&se=1&x=2" + sig,
		"SharedAccessSignature sr=%zz&se=1" + sig,
		"SharedAccessSignature sr=%2Fdevices&se=1" + sig,
		"SharedAccessSignature sr=&se=1" + sig,
		"SharedAccessSignature sr=localhost%252Fdevices%252Fd1&se=1" + sig, // encoded twice: no host is called so
		"SharedAccessSignature sr=h&se=x" + sig,
		"SharedAccessSignature sr=h&se=-1" + sig,
		"SharedAccessSignature sr=h&se=%2B1" + sig,
		"SharedAccessSignature sr=h&se=+1" + sig,
		"SharedAccessSignature sr=h&se=999999999999999999999" + sig,
		"SharedAccessSignature sr=h&se=1&sig=AAAA",
		"SharedAccessSignature sr=h&se=1&sig=%%%",
		"SharedAccessSignature sr=h&se=1&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB%3D", // stray bits
		"SharedAccessSignature sr=h&se=1&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%253D",
		"SharedAccessSignature sr=h&se=1&skn=%zz" + sig,
		"SharedAccessSignature sr=" + strings.Repeat("h", maxToken) + "&se=1" + sig,
	} {
		got, err := Parse(token)
		if !errors.Is(err, ErrMalformed) || got != (Token{}) {
			t.Errorf("%.80s: %+v, %v", token, got, err)
		}
	}
	if (&Token{}).Verify(key) {
		t.Error("the zero token verifies")
	}
}

// FuzzParse: a token that parses keeps within its bounds, and one changed
// anywhere in what is signed no longer verifies.
func FuzzParse(f *testing.F) {
	f.Add(knownEncoded)
	f.Add(knownPlain)
	f.Add(knownLower)
	f.Add("SharedAccessSignature sr=&sig=&se=")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := Parse(text)
		if err != nil {
			if token != (Token{}) {
				t.Fatal("an error and a token")
			}
			return
		}
		if token.Verify(key) {
			if token.resource != "localhost%2Fdevices%2Fd1" && token.resource != "localhost/devices/d1" && token.resource != "foreign.azure-devices.net%2fdevices%2fd1%2fmodules%2fm1" {
				t.Fatalf("forged: %q", text)
			}
		}
		if token.Covers("devices/d1") && token.Covers("devices/d2") && token.Covers("elsewhere") && token.path != "" {
			t.Fatalf("%q covers everything", token.path)
		}
	})
}

func BenchmarkParseAndVerify(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		token, err := Parse(knownEncoded)
		if err != nil || !token.Verify(key) {
			b.Fatal(err)
		}
	}
}
