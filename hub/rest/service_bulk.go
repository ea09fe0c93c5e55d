package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/weir-iot/weir/hub"
)

// maxBulkItems bounds POST /devices: IoT Hub's own limit.
const maxBulkItems = 100

// An importItem is one element of POST /devices, an ExportImportDevice of the
// service API.
type importItem struct {
	ID             string              `json:"id"`
	ModuleID       string              `json:"moduleId"`
	ETag           string              `json:"eTag"`
	ImportMode     string              `json:"importMode"`
	Status         string              `json:"status"`
	StatusReason   string              `json:"statusReason"`
	Authentication *hub.Authentication `json:"authentication"`
	TwinETag       string              `json:"twinETag"`
	Tags           json.RawMessage     `json:"tags"`
	Properties     struct {
		Desired json.RawMessage `json:"desired"`
	} `json:"properties"`
	Capabilities *hub.Capabilities `json:"capabilities"`
	DeviceScope  string            `json:"deviceScope"`
	ParentScopes []string          `json:"parentScopes"`
	ManagedBy    string            `json:"managedBy"`
}

// A bulkResult is a BulkRegistryOperationResult.
type bulkResult struct {
	IsSuccessful bool        `json:"isSuccessful"`
	Errors       []bulkError `json:"errors"`
	Warnings     []bulkError `json:"warnings"`
}

type bulkError struct {
	DeviceID    string `json:"deviceId"`
	ModuleID    string `json:"moduleId,omitempty"`
	ErrorCode   string `json:"errorCode"`
	ErrorStatus string `json:"errorStatus"`
}

// bulk is POST /devices: each element is done by itself, as its importMode
// says. If one fails the answer is 400 with the same body and a name in the
// header by which the C# SDK knows to read it.
func (c *call) bulk() error {
	var items []importItem
	if err := c.decode(maxBulk, &items); err != nil {
		return err
	}
	if len(items) == 0 || len(items) > maxBulkItems {
		return hub.ErrArgument.With("the list must have 1 to %d devices, it has %d", maxBulkItems, len(items))
	}
	seen := make(map[hub.ID]bool, len(items))
	for i := range items {
		id := items[i].id()
		if seen[id] {
			return errTwice.With("%q is in the list twice", id)
		}
		seen[id] = true
	}
	result := bulkResult{IsSuccessful: true, Errors: []bulkError{}, Warnings: []bulkError{}}
	for i := range items {
		if err := c.importOne(&items[i]); err != nil {
			e := c.known(err)
			result.IsSuccessful = false
			result.Errors = append(result.Errors, bulkError{items[i].ID, items[i].ModuleID, e.Name, e.Message})
		}
	}
	if result.IsSuccessful {
		return c.json(result)
	}
	b, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("rest: writing an answer: %w", err)
	}
	c.w.Header().Set("iothub-errorcode", "BulkRegistryOperationFailure")
	c.write(http.StatusBadRequest, jsonType, b)
	return nil
}

var errTwice = &hub.Error{Status: http.StatusBadRequest, Code: 400011, Name: "DeviceDefinedMultipleTimes", Message: "a device is in the list twice"}

// importOne does what one element's importMode says; the names are taken in any
// case, since Node writes Update and the documentation update.
func (c *call) importOne(item *importItem) error {
	switch strings.ToLower(item.ImportMode) {
	case "create":
		return c.importPut(item, "")
	case "update":
		return c.importPut(item, "*")
	case "updateifmatchetag":
		return c.importPut(item, etag(item.ETag))
	case "", "createorupdate":
		return c.importEither(item, "*")
	case "createorupdateifmatchetag":
		return c.importEither(item, etag(item.ETag))
	case "delete":
		return c.hub.DeleteDevice(c.Context(), item.id(), "*")
	case "deleteifmatchetag":
		return c.hub.DeleteDevice(c.Context(), item.id(), etag(item.ETag))
	case "updatetwin":
		return c.importTwin(item, "*")
	case "updatetwinifmatchetag":
		return c.importTwin(item, etag(item.TwinETag))
	}
	return hub.ErrArgument.With("importMode %q is not known: create, update, updateIfMatchETag, createOrUpdate, createOrUpdateIfMatchETag, delete, deleteIfMatchETag, updateTwin, updateTwinIfMatchETag", item.ImportMode)
}

// etag is the condition for an etag in a body: one that is missing matches
// nothing.
func etag(s string) string {
	if s = strings.Trim(s, `"`); s == "" {
		return `""`
	}
	return s
}

func (item *importItem) id() hub.ID { return hub.ID{Device: item.ID, Module: item.ModuleID} }

// importPut creates (ifMatch "") or updates an identity, then its twin where
// the element has one.
func (c *call) importPut(item *importItem, ifMatch string) error {
	_, err := c.hub.PutDevice(c.Context(), &hub.Device{
		DeviceID:       item.ID,
		ModuleID:       item.ModuleID,
		Status:         item.Status,
		StatusReason:   item.StatusReason,
		Authentication: item.Authentication,
		Capabilities:   item.Capabilities,
		DeviceScope:    item.DeviceScope,
		ParentScopes:   item.ParentScopes,
		ManagedBy:      item.ManagedBy,
	}, ifMatch)
	if err != nil || item.Tags == nil && item.Properties.Desired == nil {
		return err
	}
	return c.importTwin(item, "*")
}

// importEither updates the identity if it exists, else creates it.
func (c *call) importEither(item *importItem, ifMatch string) error {
	err := c.importPut(item, ifMatch)
	if errors.Is(err, hub.ErrDeviceNotFound) || errors.Is(err, hub.ErrModuleNotFound) {
		return c.importPut(item, "")
	}
	return err
}

// importTwin merges the element's tags and desired properties.
func (c *call) importTwin(item *importItem, ifMatch string) error {
	type desired struct {
		Desired json.RawMessage `json:"desired,omitempty"`
	}
	patch, err := json.Marshal(struct {
		Tags       json.RawMessage `json:"tags,omitempty"`
		Properties desired         `json:"properties"`
	}{item.Tags, desired{item.Properties.Desired}})
	if err != nil {
		return hub.ErrArgument.With("the twin: %v", err)
	}
	_, err = c.hub.PatchTwin(c.Context(), item.id(), patch, ifMatch)
	return err
}
