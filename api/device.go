package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/weir-iot/weir/hub"
)

func (s *server) registerDevices() {
	huma.Register(s.huma, huma.Operation{
		OperationID: "list-devices", Method: http.MethodGet, Path: "/devices",
		Summary: "The registered devices in order of id", Tags: []string{"devices"},
	}, s.listDevices)
	huma.Register(s.huma, huma.Operation{
		OperationID: "get-device", Method: http.MethodGet, Path: "/devices/{id}",
		Summary: "A device's identity, without keys, and its twin", Tags: []string{"devices"},
		Errors: []int{http.StatusNotFound},
	}, s.getDevice)
	huma.Register(s.huma, huma.Operation{
		OperationID: "get-device-status", Method: http.MethodGet, Path: "/devices/{id}/status",
		Summary:     "What a device last reported about itself",
		Description: "The reported properties status, lastHeartbeat and firmwareVersion of the twin; null where the device reported none.",
		Tags:        []string{"devices"}, Errors: []int{http.StatusNotFound},
	}, s.getStatus)
}

type deviceInput struct {
	ID string `path:"id" minLength:"1" maxLength:"1023" doc:"Device id"`
}

// statusAnswer has the article's keys. A value has the type that the device reported.
type statusAnswer struct {
	DeviceID        string `json:"deviceId"`
	Status          any    `json:"status"`
	LastSeen        any    `json:"lastSeen"`
	FirmwareVersion any    `json:"firmwareVersion"`
}

type statusOutput struct{ Body statusAnswer }

func (s *server) getStatus(ctx context.Context, in *deviceInput) (*statusOutput, error) {
	t, err := s.Hub.TwinOf(ctx, hub.ID{Device: in.ID})
	if err != nil {
		return nil, s.fail(ctx, "reading the twin", err)
	}
	r := t.Reported.Values
	return &statusOutput{statusAnswer{in.ID, r["status"], r["lastHeartbeat"], r["firmwareVersion"]}}, nil
}

// twin returns a device's twin in the JSON form of IoT Hub's service API.
func (s *server) twin(ctx context.Context, id string) (json.RawMessage, error) {
	t, err := s.Hub.TwinOf(ctx, hub.ID{Device: id})
	if err != nil {
		return nil, s.fail(ctx, "reading the twin", err)
	}
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, s.fail(ctx, "writing the twin", err)
	}
	return raw, nil
}

// deviceAnswer is an identity and its twin.
type deviceAnswer struct {
	DeviceID               string          `json:"deviceId"`
	Status                 string          `json:"status" enum:"enabled,disabled"`
	StatusReason           string          `json:"statusReason,omitempty"`
	ConnectionState        string          `json:"connectionState" enum:"Connected,Disconnected"`
	ConnectionStateUpdated *time.Time      `json:"connectionStateUpdated" doc:"null: it never connected"`
	LastActivity           *time.Time      `json:"lastActivity" doc:"null: it never connected"`
	Authentication         string          `json:"authentication" example:"sas" doc:"How the device proves who it is"`
	CloudToDeviceMessages  int             `json:"cloudToDeviceMessages" doc:"Messages that wait for the device"`
	Twin                   json.RawMessage `json:"twin" doc:"Tags, desired and reported properties, as the service API of IoT Hub answers"`
}

type deviceOutput struct{ Body deviceAnswer }

func (s *server) getDevice(ctx context.Context, in *deviceInput) (*deviceOutput, error) {
	d, err := s.Hub.Device(ctx, hub.ID{Device: in.ID})
	if err != nil {
		return nil, s.fail(ctx, "reading the device", err)
	}
	raw, err := s.twin(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	a := deviceAnswer{
		DeviceID: d.DeviceID, Status: d.Status, StatusReason: d.StatusReason,
		ConnectionState: d.ConnectionState, ConnectionStateUpdated: known(d.ConnectionStateUpdatedTime),
		LastActivity: known(d.LastActivityTime), CloudToDeviceMessages: d.CloudToDeviceMessageCount, Twin: raw,
	}
	if d.Authentication != nil {
		a.Authentication = d.Authentication.Type
	}
	return &deviceOutput{a}, nil
}

// known is nil for IoT Hub's "never", 0001-01-01.
func known(t time.Time) *time.Time {
	if t.Year() <= 1 {
		return nil
	}
	return &t
}

type listInput struct {
	Prefix string `query:"q" maxLength:"128" pattern:"^[A-Za-z0-9\\-:.%_*?!(),=@;']*$" doc:"Only devices whose id begins with this"`
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Devices of one page. With more devices the answer has a Link header with rel=next"`
	Cursor string `query:"cursor" maxLength:"4096" pattern:"^[A-Za-z0-9_-]*$" doc:"Continues a page: taken from the Link header"`
}

// deviceRow is one device of a list.
type deviceRow struct {
	DeviceID        string     `json:"deviceId"`
	Status          string     `json:"status" enum:"enabled,disabled"`
	ConnectionState string     `json:"connectionState" enum:"Connected,Disconnected"`
	LastActivity    *time.Time `json:"lastActivity" doc:"null: it never connected"`
}

type listAnswer struct {
	Devices []deviceRow `json:"devices" nullable:"false"`
}

type listOutput struct {
	Link string `header:"Link"`
	Body listAnswer
}

func (s *server) listDevices(ctx context.Context, in *listInput) (*listOutput, error) {
	continuation, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("query.cursor: not a cursor of this API: take it from the Link header")
	}
	page, err := s.Hub.Query(ctx, listQuery(in.Prefix), in.Limit, string(continuation))
	if err != nil {
		return nil, s.fail(ctx, "listing devices", err)
	}
	out := &listOutput{Body: listAnswer{Devices: make([]deviceRow, 0, len(page.Items))}}
	for _, item := range page.Items {
		var d struct {
			deviceRow
			LastActivityTime time.Time `json:"lastActivityTime"`
		}
		if err := json.Unmarshal(item, &d); err != nil {
			return nil, s.fail(ctx, "listing devices", fmt.Errorf("api: a row of the registry's answer: %w", err))
		}
		d.LastActivity = known(d.LastActivityTime)
		out.Body.Devices = append(out.Body.Devices, d.deviceRow)
	}
	if page.Next != "" {
		q := url.Values{"limit": {strconv.Itoa(in.Limit)}, "cursor": {base64.RawURLEncoding.EncodeToString([]byte(page.Next))}}
		if in.Prefix != "" {
			q.Set("q", in.Prefix)
		}
		out.Link = "</devices?" + q.Encode() + `>; rel="next"`
	}
	return out, nil
}

// listQuery is in the registry's own language, whose strings double the quote.
func listQuery(prefix string) string {
	q := "SELECT deviceId, status, connectionState, lastActivityTime FROM devices"
	if prefix != "" {
		q += " WHERE STARTSWITH(deviceId, '" + strings.ReplaceAll(prefix, "'", "''") + "')"
	}
	return q
}
