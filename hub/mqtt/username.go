package mqtt

import (
	"errors"
	"strings"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// A username is what IoT Hub's clients put there: host/device/?query or
// host/device/module/?query, where the query names at least api-version.
type username struct {
	host       string
	id         hub.ID
	modelID    string // model-id
	clientType string // DeviceClientType
}

var errUsername = errors.New("hub/mqtt: user name is not host/device[/module]/?api-version=…")

// parseUsername is as lenient as IoT Edge's hub: the last segment may begin
// with '?' or not, keys that it does not know are passed over, values are
// percent-decoded. Any api-version will do.
func parseUsername(s string) (username, error) {
	host, rest, ok := strings.Cut(s, "/")
	if !ok || host == "" {
		return username{}, errUsername
	}
	path, query, ok := strings.Cut(rest, "/?")
	if !ok {
		i := strings.LastIndexByte(rest, '/')
		if i < 0 {
			return username{}, errUsername
		}
		path, query = rest[:i], rest[i+1:]
	}
	u := username{host: host}
	u.id.Device, u.id.Module, ok = strings.Cut(path, "/")
	if u.id.Device == "" || ok && (u.id.Module == "" || strings.Contains(u.id.Module, "/")) {
		return username{}, errUsername
	}
	versioned := false
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "api-version":
			versioned = true
		case "model-id":
			u.modelID = unescape(value)
		case "DeviceClientType":
			u.clientType = unescape(value)
		}
	}
	if !versioned {
		return username{}, errUsername
	}
	return u, nil
}

func unescape(s string) string { return string(mqtt311.Unescape([]byte(s))) }
