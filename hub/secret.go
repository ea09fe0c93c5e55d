package hub

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a key in base64. It prints as ***, whatever the verb, and in
// logs; only its JSON form, which answers an authorized service, shows it.
// "" marshals as null.
type Secret string

// Format hides the secret from every verb of package fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// LogValue hides the secret from package slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalJSON shows the secret.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

// newSecret returns a fresh random key of 32 bytes.
func newSecret() Secret {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	return Secret(base64.StdEncoding.EncodeToString(key[:]))
}

// check refuses what is not base64 of 16 to 64 bytes, without showing it.
func (s Secret) check(what string) error {
	key, err := base64.StdEncoding.Strict().DecodeString(string(s))
	if err != nil || len(key) < 16 || len(key) > 64 {
		return ErrArgument.With("%s must be base64 of 16 to 64 bytes", what)
	}
	return nil
}
