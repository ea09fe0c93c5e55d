// Package sas makes, reads and checks shared access signatures and connection
// strings of Azure IoT Hub. It is a codec: which key is right, which policy may
// do what, and what the time is, is the caller's to say.
//
// A token is signed over its sr field as it literally stands there, neither
// decoded nor encoded again; clients differ in how they write it.
package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const scheme = "SharedAccessSignature"

// maxToken bounds a token, in bytes: ids of 128 bytes, percent-encoded three
// times over, leave room.
const maxToken = 4096

// ErrMalformed is wrapped by every error of Parse. Errors name the field, never its value.
var ErrMalformed = errors.New("sas: malformed token")

// A Token is a shared access signature. The zero Token verifies with no key.
type Token struct {
	Policy  string    // skn, decoded; "" for a device's own token
	Expires time.Time // se

	resource  string   // sr, literal
	path      string   // sr, decoded once, behind the host
	expiry    string   // se, literal
	signature [32]byte // sig
}

// Parse reads a token, with its fields in any order. It checks no signature.
func Parse(token string) (Token, error) {
	var t Token
	if len(token) > maxToken {
		return Token{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxToken)
	}
	name, fields, ok := strings.Cut(token, " ")
	if !ok || !strings.EqualFold(name, scheme) {
		return Token{}, fmt.Errorf("%w: want %q in front", ErrMalformed, scheme)
	}
	var sr, sig, se, skn bool
	for part := range strings.SplitSeq(fields, "&") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch {
		case key == "sr" && !sr:
			sr, err = true, t.setResource(value)
		case key == "sig" && !sig:
			sig, err = true, t.setSignature(value)
		case key == "se" && !se:
			se, err = true, t.setExpiry(value)
		case key == "skn" && !skn:
			skn = true
			t.Policy, err = url.PathUnescape(value)
		default:
			return Token{}, fmt.Errorf("%w: an unknown or doubled field", ErrMalformed)
		}
		if err != nil {
			return Token{}, fmt.Errorf("%w: field %s", ErrMalformed, key)
		}
	}
	if !sr || !sig || !se {
		return Token{}, fmt.Errorf("%w: sr, sig and se are needed", ErrMalformed)
	}
	return t, nil
}

// setResource keeps the literal sr, and the path behind its host. The host may
// be any, with a scheme or a port.
func (t *Token) setResource(value string) error {
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return err
	}
	if _, rest, ok := strings.Cut(decoded, "://"); ok {
		decoded = rest
	}
	host, path, _ := strings.Cut(decoded, "/")
	if host == "" || strings.ContainsFunc(host, notInHost) { // a percent sign here: it was encoded twice
		return errors.New("no host")
	}
	t.resource, t.path = value, strings.TrimSuffix(path, "/")
	return nil
}

func notInHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-_:[]", r))
}

func (t *Token) setSignature(value string) error {
	text, err := url.PathUnescape(value)
	if err != nil {
		return err
	}
	if base64.StdEncoding.EncodedLen(len(t.signature)) != len(text) {
		return errors.New("length")
	}
	var b [33]byte // DecodedLen of 44 characters
	if n, err := base64.StdEncoding.Strict().Decode(b[:], []byte(text)); err != nil || n != len(t.signature) {
		return errors.New("base64")
	}
	copy(t.signature[:], b[:])
	return nil
}

func (t *Token) setExpiry(value string) error {
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 || value[0] == '+' {
		return errors.New("want seconds since 1970")
	}
	t.expiry, t.Expires = value, time.Unix(seconds, 0)
	return nil
}

// Verify says whether key (base64) signed the token, in constant time. It does
// not look at Expires.
func (t *Token) Verify(key string) bool {
	var buf [64]byte
	k, err := decodeKey(buf[:0], key)
	if err != nil || t.expiry == "" {
		return false
	}
	var sum [sha256.Size]byte
	sign(sum[:0], k, t.resource, t.expiry)
	return hmac.Equal(sum[:], t.signature[:])
}

// Covers says whether resource ("devices/d1", "" for the whole hub) is the
// token's resource or lies below it, segment by segment. The token's was
// decoded once, so one that was encoded twice matches nothing.
func (t *Token) Covers(resource string) bool {
	if t.path == "" {
		return true
	}
	rest, ok := strings.CutPrefix(resource, t.path)
	return ok && (rest == "" || rest[0] == '/')
}

// Sign makes a token for resource, which it percent-encodes. key is base64; a
// device's own token has no policy.
func Sign(resource, key, policy string, expires time.Time) (string, error) {
	var buf [64]byte
	k, err := decodeKey(buf[:0], key)
	if err != nil {
		return "", fmt.Errorf("sas: sign: key: %w", err)
	}
	sr, se := escape(resource), strconv.FormatInt(expires.Unix(), 10)
	var sum [sha256.Size]byte
	sign(sum[:0], k, sr, se)
	token := scheme + " sr=" + sr + "&sig=" + escape(base64.StdEncoding.EncodeToString(sum[:])) + "&se=" + se
	if policy != "" {
		token += "&skn=" + escape(policy)
	}
	return token, nil
}

// escape percent-encodes everything but letters, digits and -._~.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func sign(dst, key []byte, resource, expiry string) {
	var buf [256]byte
	text := append(buf[:0], resource...)
	text = append(text, '\n')
	text = append(text, expiry...)
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	mac.Sum(dst)
}

// decodeKey appends the bytes of a base64 key to dst.
func decodeKey(dst []byte, key string) ([]byte, error) {
	var buf [128]byte
	k, err := base64.StdEncoding.Strict().AppendDecode(dst, append(buf[:0], key...))
	if err != nil || len(k) == 0 {
		return nil, errors.New("want base64")
	}
	return k, nil
}
