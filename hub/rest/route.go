package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-iot/weir/hub"
)

// A route is a method and a path of the API. Literal segments match in any
// case, {id}, {mid} and {lock} match one segment. need is what a policy must
// allow; 0 is the device API, whose handler connects as the device.
type route struct {
	method, pattern string
	need            hub.Permission
	handle          func(*call) error
	form            envelope // of its errors
	slow            bool     // has a timeout of its own

	name     string // method and pattern, for metrics
	segments []string
}

// routes is the whole API: what is not here is 404.
var routes = split([]route{
	// The device API.
	{method: "POST", pattern: "/devices/{id}/messages/events", handle: (*call).sendEvents},
	{method: "POST", pattern: "/devices/{id}/modules/{mid}/messages/events", handle: (*call).sendEvents},
	{method: "GET", pattern: "/devices/{id}/messages/devicebound", handle: (*call).receive},
	{method: "DELETE", pattern: "/devices/{id}/messages/devicebound/{lock}", handle: (*call).settle},
	{method: "POST", pattern: "/devices/{id}/messages/devicebound/{lock}/abandon", handle: (*call).abandon},

	// The identity registry.
	{method: "GET", pattern: "/devices", need: hub.RegistryRead, handle: (*call).listDevices},
	{method: "POST", pattern: "/devices", need: hub.RegistryWrite, handle: (*call).bulk},
	{method: "GET", pattern: "/devices/{id}", need: hub.RegistryRead, handle: (*call).getDevice},
	{method: "PUT", pattern: "/devices/{id}", need: hub.RegistryWrite, handle: (*call).putDevice},
	{method: "DELETE", pattern: "/devices/{id}", need: hub.RegistryWrite, handle: (*call).deleteDevice},
	{method: "GET", pattern: "/devices/{id}/modules", need: hub.RegistryRead, handle: (*call).listModules, form: coded},
	{method: "GET", pattern: "/devices/{id}/modules/{mid}", need: hub.RegistryRead, handle: (*call).getModule, form: coded},
	{method: "PUT", pattern: "/devices/{id}/modules/{mid}", need: hub.RegistryWrite, handle: (*call).putModule, form: coded},
	{method: "DELETE", pattern: "/devices/{id}/modules/{mid}", need: hub.RegistryWrite, handle: (*call).deleteModule, form: coded},
	{method: "GET", pattern: "/statistics/devices", need: hub.RegistryRead, handle: (*call).deviceStatistics},

	// What services do with devices.
	{method: "GET", pattern: "/statistics/service", need: hub.ServiceConnect, handle: (*call).serviceStatistics},
	{method: "POST", pattern: "/devices/query", need: hub.ServiceConnect, handle: (*call).query},
	{method: "GET", pattern: "/twins/{id}", need: hub.ServiceConnect, handle: (*call).getTwin},
	{method: "PATCH", pattern: "/twins/{id}", need: hub.ServiceConnect, handle: (*call).patchTwin},
	{method: "PUT", pattern: "/twins/{id}", need: hub.ServiceConnect, handle: (*call).replaceTwin},
	{method: "GET", pattern: "/twins/{id}/modules/{mid}", need: hub.ServiceConnect, handle: (*call).getTwin},
	{method: "PATCH", pattern: "/twins/{id}/modules/{mid}", need: hub.ServiceConnect, handle: (*call).patchTwin},
	{method: "PUT", pattern: "/twins/{id}/modules/{mid}", need: hub.ServiceConnect, handle: (*call).replaceTwin},
	{method: "POST", pattern: "/twins/{id}/methods", need: hub.ServiceConnect, handle: (*call).invoke, form: nested, slow: true},
	{method: "POST", pattern: "/twins/{id}/modules/{mid}/methods", need: hub.ServiceConnect, handle: (*call).invoke, form: nested, slow: true},
	{method: "POST", pattern: "/devices/{id}/messages/devicebound", need: hub.ServiceConnect, handle: (*call).sendToDevice},
	{method: "DELETE", pattern: "/devices/{id}/commands", need: hub.ServiceConnect, handle: (*call).purge},
	{method: "GET", pattern: "/messages/serviceBound/feedback", need: hub.ServiceConnect, handle: (*call).feedback},
	{method: "DELETE", pattern: "/messages/serviceBound/feedback/{lock}", need: hub.ServiceConnect, handle: (*call).completeFeedback},
	{method: "POST", pattern: "/messages/serviceBound/feedback/{lock}/abandon", need: hub.ServiceConnect, handle: (*call).abandonFeedback},
})

func split(list []route) []route {
	for i := range list {
		list[i].name = list[i].method + " " + list[i].pattern
		list[i].segments = strings.Split(list[i].pattern[1:], "/")
	}
	return list
}

// maxSegments bounds a path: no route has more.
const maxSegments = 6

// find sets the ids of the path and returns its route. A literal segment goes
// before a parameter, so that "query" is no device.
func (c *call) find() (*route, error) {
	var buf [maxSegments]string
	path, err := segments(c.URL.EscapedPath(), buf[:0])
	if err != nil {
		return nil, err
	}
	var found *route
	var allowed []string
	for i := range routes {
		r := &routes[i]
		if !r.matches(path) {
			continue
		}
		if r.method != c.Method {
			allowed = append(allowed, r.method)
		} else if found == nil || r.literals() > found.literals() {
			found = r
		}
	}
	switch {
	case found != nil:
		c.take(found, path)
		return found, nil
	case allowed != nil:
		slices.Sort(allowed)
		c.w.Header().Set("Allow", strings.Join(slices.Compact(allowed), ", "))
		return nil, errMethod
	}
	return nil, errRoute
}

// segments cuts an escaped path at its slashes and decodes each part once. A
// trailing slash does not count; a slash within a part is no id of a device
// and could make a path look like that of another one.
func segments(path string, list []string) ([]string, error) {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	for part := range strings.SplitSeq(path, "/") {
		if len(list) == maxSegments {
			return nil, errRoute
		}
		s, err := url.PathUnescape(part)
		if err != nil || s == "" || strings.ContainsAny(s, "/\x00") {
			return nil, errRoute
		}
		list = append(list, s)
	}
	return list, nil
}

func isParameter(segment string) bool { return segment[0] == '{' }

func (r *route) matches(path []string) bool {
	if len(path) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if !isParameter(s) && !strings.EqualFold(s, path[i]) {
			return false
		}
	}
	return true
}

func (r *route) literals() int {
	n := 0
	for _, s := range r.segments {
		if !isParameter(s) {
			n++
		}
	}
	return n
}

// take sets what the parameters of r stand for.
func (c *call) take(r *route, path []string) {
	for i, s := range r.segments {
		switch s {
		case "{id}":
			c.id.Device = path[i]
		case "{mid}":
			c.id.Module = path[i]
		case "{lock}":
			c.lock = path[i]
		}
	}
}

// resource is what a service's token must cover: the path without the hub's
// host, decoded.
func (r *route) resource(c *call) string {
	parts := slices.Clone(r.segments)
	for i, s := range parts {
		switch s {
		case "{id}":
			parts[i] = c.id.Device
		case "{mid}":
			parts[i] = c.id.Module
		case "{lock}":
			parts[i] = c.lock
		}
	}
	return strings.Join(parts, "/")
}

// What is refused before the hub is asked.
var (
	errRoute   = &hub.Error{Status: http.StatusNotFound, Code: 404000, Name: "GenericNotFound", Message: "there is no such resource in the API"}
	errMethod  = &hub.Error{Status: http.StatusMethodNotAllowed, Code: 405000, Name: "GenericMethodNotAllowed", Message: "the resource has other methods: see the header Allow"}
	errVersion = &hub.Error{Status: http.StatusBadRequest, Code: 400001, Name: "InvalidProtocolVersion", Message: "the query parameter api-version is missing: use api-version=2021-04-12"}
)
