package mqtt

import (
	"strings"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/mqtt311"
)

// names are the topics that hold the identity of a connection; topics are
// compared with them, never taken apart for an identity.
type names struct {
	base   string // devices/{d} or devices/{d}/modules/{m}
	module bool
}

func newNames(id hub.ID) names {
	if id.Module == "" {
		return names{base: "devices/" + id.Device}
	}
	return names{base: "devices/" + id.Device + "/modules/" + id.Module, module: true}
}

const (
	levelEvents = "/messages/events"
	levelBound  = "/messages/devicebound/"

	topicTwinGet    = "$iothub/twin/GET/"
	topicReported   = "$iothub/twin/PATCH/properties/reported/"
	topicDesired    = "$iothub/twin/PATCH/properties/desired/"
	topicTwinAnswer = "$iothub/twin/res/"
	topicMethod     = "$iothub/methods/POST/"
	topicResponse   = "$iothub/methods/res/"
)

// events reports whether topic is telemetry of this identity, and where its
// property bag begins.
func (n names) events(topic string) (bag int, ok bool) {
	rest, ok := strings.CutPrefix(topic, n.base)
	if !ok {
		return 0, false
	}
	rest, ok = strings.CutPrefix(rest, levelEvents)
	switch {
	case !ok:
		return 0, false
	case rest == "":
		return len(topic), true
	case rest[0] == '/':
		return len(topic) - len(rest) + 1, true
	}
	return 0, false
}

// subscriptions is a set of IoT Hub's topic filters: at most four for a
// device and five for a module, which is IoT Hub's limit.
type subscriptions struct {
	filters filter
	qos     uint8 // granted for cloud-to-device messages
}

type filter uint8

const (
	filterDevicebound filter = 1 << iota
	filterMethods
	filterTwin
	filterDesired
	filterInputs
	filterModule
)

// filterOf returns which of IoT Hub's filters s is for this identity, 0 if none.
func (n names) filterOf(s string) filter {
	switch s {
	case topicMethod + "#":
		return filterMethods
	case topicTwinAnswer + "#":
		return filterTwin
	case topicDesired + "#":
		return filterDesired
	}
	rest, ok := strings.CutPrefix(s, n.base)
	switch {
	case !ok:
		return 0
	case !n.module && rest == levelBound+"#":
		return filterDevicebound
	case n.module && rest == "/inputs/#":
		return filterInputs
	case n.module && rest == "/#":
		return filterModule
	}
	return 0
}

// feeds are the hub's feeds behind the filters.
func (s subscriptions) feeds() hub.Feed {
	var f hub.Feed
	if s.filters&filterDevicebound != 0 {
		f |= hub.FeedCloudToDevice
	}
	if s.filters&filterMethods != 0 {
		f |= hub.FeedMethods
	}
	if s.filters&filterDesired != 0 {
		f |= hub.FeedDesired
	}
	return f
}

// maxRequestID is in bytes: the answer's topic holds it too.
const maxRequestID = 1 << 10

// requestID returns the value of $rid in the last level of a topic, "?$rid=…".
// It decodes in place and points into b.
func requestID(b []byte) (string, error) {
	if len(b) > 0 && b[0] == '?' {
		bag := mqtt311.NewBag(b[1:])
		for {
			p, ok, err := bag.Next()
			if err != nil || !ok {
				break
			}
			if p.Key == "$rid" && p.Value != "" && len(p.Value) <= maxRequestID {
				return p.Value, nil
			}
		}
	}
	return "", errRequestID
}
