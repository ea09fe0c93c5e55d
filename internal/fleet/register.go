package fleet

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weir-iot/weir/internal/sas"
)

// A Registry is a hub's service REST API, as an administrator sees it.
type Registry struct {
	Base    string               // https://host:port
	Service sas.ConnectionString // of a policy that may write the registry
	HTTP    *http.Client
	Host    string // what the devices' connection strings name
}

const (
	bulkMax     = 100 // devices of one POST /devices: the hub's limit
	bulkAnswer  = 1 << 20
	bulkToken   = time.Hour
	bulkVersion = "2021-04-12"
)

// identity is one element of POST /devices.
type identity struct {
	ID             string         `json:"id"`
	ImportMode     string         `json:"importMode"`
	Status         string         `json:"status"`
	Authentication authentication `json:"authentication"`
}

type authentication struct {
	Type         string `json:"type"`
	SymmetricKey struct {
		Primary   string `json:"primaryKey"`
		Secondary string `json:"secondaryKey"`
	} `json:"symmetricKey"`
}

// Register makes sure that devices with these ids exist, and returns their
// connection strings. Devices that exist already get new keys.
func (r *Registry) Register(ctx context.Context, ids []string) ([]string, error) {
	all := make([]string, 0, len(ids))
	for part := range slices.Chunk(ids, bulkMax) {
		list := make([]identity, len(part))
		for i, id := range part {
			list[i] = identity{ID: id, ImportMode: "create", Status: "enabled"}
			list[i].Authentication.Type = "sas"
			list[i].Authentication.SymmetricKey.Primary = newKey()
			list[i].Authentication.SymmetricKey.Secondary = newKey()
			all = append(all, sas.ConnectionString{
				HostName: r.Host, DeviceID: id,
				SharedAccessKey: list[i].Authentication.SymmetricKey.Primary,
			}.Encode())
		}
		if err := r.put(ctx, list); err != nil {
			return nil, fmt.Errorf("fleet: registering devices: %w", err)
		}
	}
	return all, nil
}

func newKey() string {
	var k [32]byte
	rand.Read(k[:])
	return base64.StdEncoding.EncodeToString(k[:])
}

// put creates the devices, then updates those that were there.
func (r *Registry) put(ctx context.Context, list []identity) error {
	there, err := r.post(ctx, list)
	if err != nil || len(there) == 0 {
		return err
	}
	list = slices.DeleteFunc(list, func(d identity) bool { return !slices.Contains(there, d.ID) })
	for i := range list {
		list[i].ImportMode = "update"
	}
	there, err = r.post(ctx, list)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("device %s exists and does not: is somebody else registering devices of these names?", there[0])
	}
	return err
}

// post sends one list and returns the ids of devices that exist already.
func (r *Registry) post(ctx context.Context, list []identity) (there []string, err error) {
	body, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Base+"/devices?api-version="+bulkVersion, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	token := r.Service.SharedAccessSignature
	if token == "" {
		host, _, _ := strings.Cut(r.Service.HostName, ":")
		if token, err = sas.Sign(host, r.Service.SharedAccessKey, r.Service.SharedAccessKeyName, time.Now().Add(bulkToken)); err != nil {
			return nil, err
		}
	}
	request.Header.Set("Authorization", token)
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := r.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, bulkAnswer))
	if err != nil {
		return nil, err
	}
	return bulkErrors(response.StatusCode, text)
}

// bulkErrors reads a BulkRegistryOperationResult, which comes with status 400
// where an element failed.
func bulkErrors(status int, text []byte) (there []string, err error) {
	var result struct {
		IsSuccessful *bool `json:"isSuccessful"`
		Errors       []struct {
			DeviceID    string          `json:"deviceId"`
			ErrorCode   json.RawMessage `json:"errorCode"` // a name, or a number
			ErrorStatus string          `json:"errorStatus"`
		} `json:"errors"`
	}
	if json.Unmarshal(text, &result) != nil || result.IsSuccessful == nil {
		return nil, fmt.Errorf("the hub answered status %d: %.300s", status, text)
	}
	for _, e := range result.Errors {
		if code := strings.Trim(string(e.ErrorCode), `"`); code != "DeviceAlreadyExists" && code != "409001" {
			return nil, fmt.Errorf("device %s: %s: %s", e.DeviceID, code, e.ErrorStatus)
		}
		there = append(there, e.DeviceID)
	}
	if !*result.IsSuccessful && len(there) == 0 {
		return nil, errors.New("the hub refused the list and does not say why")
	}
	return there, nil
}
