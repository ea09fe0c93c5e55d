package rest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

// appPrefix begins the headers of application properties. HTTP gives header
// names no case, so properties sent one by one arrive in lower case; a batch
// keeps their names as they are.
const appPrefix = "iothub-app-"

// systemHeaders are the headers of system properties and their keys in
// telemetry.Message.System.
var systemHeaders = map[string]string{
	"iothub-correlationid":     telemetry.CorrelationID,
	"iothub-userid":            telemetry.UserID,
	"iothub-to":                telemetry.To,
	"iothub-expiry":            telemetry.Expiry,
	"iothub-ack":               telemetry.Acknowledgment,
	"iothub-creation-time-utc": telemetry.CreationTime,
	"iothub-interface-id":      telemetry.InterfaceID,
	"iothub-outputname":        telemetry.OutputName,
	"iothub-message-schema":    telemetry.MessageSchema,
	"dt-subject":               telemetry.Subject,
	"dt-dataschema":            telemetry.DataSchema,
}

// set gives m the property that a header, or a member of a batch's properties,
// means. It returns false if the name means none.
func set(m *telemetry.Message, name, value string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "iothub-messageid":
		m.MessageID = value
		return true
	case "iothub-contenttype":
		m.ContentType = value
		return true
	case "iothub-contentencoding":
		m.Encoding = value
		return true
	}
	if strings.HasPrefix(lower, appPrefix) {
		m.Properties = append(m.Properties, telemetry.Property{Key: name[len(appPrefix):], Value: value})
		return true
	}
	key, ok := systemHeaders[lower]
	if ok {
		m.System = append(m.System, telemetry.Property{Key: key, Value: value})
	}
	return ok
}

// fromHeaders fills m from a request's headers, properties in order of name.
func fromHeaders(m *telemetry.Message, h http.Header) error {
	m.System = make(telemetry.Properties, 0, 4+hub.StampedProperties)
	for name, values := range h {
		if !strings.HasPrefix(name, "Iothub-") && !strings.HasPrefix(name, "Dt-") {
			continue
		}
		value := values[0]
		if len(values) > 1 {
			value = strings.Join(values, ", ")
		}
		if !utf8.ValidString(value) {
			return hub.ErrArgument.With("the header %s is not valid UTF-8", name)
		}
		set(m, strings.ToLower(name), value)
	}
	sortProperties(m.System)
	sortProperties(m.Properties)
	return nil
}

func sortProperties(p telemetry.Properties) {
	slices.SortFunc(p, func(a, b telemetry.Property) int { return cmp.Compare(a.Key, b.Key) })
}

// put sets a header of an answer, unless value is "". The name is written as
// it stands. What HTTP cannot carry in a name or value is percent-encoded.
func put(h http.Header, name, value string) {
	if value != "" {
		h[headerName(name)] = []string{headerValue(value)}
	}
}

func headerName(s string) string {
	return escape(s, func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$&'*+-.^_`|~", c) >= 0
	})
}

func headerValue(s string) string {
	return escape(s, func(c byte) bool { return ' ' <= c && c <= '~' })
}

// escape percent-encodes the bytes that are not fine.
func escape(s string, fine func(byte) bool) string {
	i := 0
	for i < len(s) && fine(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		if fine(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}
