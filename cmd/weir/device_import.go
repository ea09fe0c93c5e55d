package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/internal/sas"
)

const (
	importBatch = 100       // the most that IoT Hub takes in one call
	maxImport   = 256 << 20 // bytes of a file
)

// An imported device, in the forms that are around: az iot hub
// device-identity show, list and export, weir device create --json, and a line
// with nothing but id and keys.
type imported struct {
	ID               string              `json:"id"`
	DeviceID         string              `json:"deviceId"`
	ModuleID         string              `json:"moduleId"`
	Status           string              `json:"status"`
	StatusReason     string              `json:"statusReason"`
	Authentication   *hub.Authentication `json:"authentication"`
	PrimaryKey       hub.Secret          `json:"primaryKey"`
	SecondaryKey     hub.Secret          `json:"secondaryKey"`
	ConnectionString string              `json:"connectionString"`
	Capabilities     *hub.Capabilities   `json:"capabilities"`
	Tags             json.RawMessage     `json:"tags"`
	Properties       *struct {
		Desired map[string]any `json:"desired"`
	} `json:"properties"`
}

func newDeviceImport(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Import devices with their keys from Azure IoT Hub",
		Long: `Import devices with their keys, so that they go on with the connection strings
that they have. FILE (- is standard input) holds one of:

  - JSON, one device per line or an array, as these print it:
      az iot hub device-identity export …            (devices.txt)
      az iot hub device-identity show …
      weir device create ID --json
  - one line per device: {"deviceId":"d1","primaryKey":"…","secondaryKey":"…"}
  - one device connection string per line

A device that is there already takes the keys of the file. A device without keys
in the file is refused: az iot hub device-identity list prints none.`,
		Example: `  weir device import devices.txt
  az iot hub device-identity show -n my-hub -d d1 | weir device import -`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := readInput(args[0])
			if err != nil {
				return err
			}
			return g.importDevices(c.Context(), text)
		},
	}
}

func readInput(file string) ([]byte, error) {
	in := os.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading the devices: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err != nil {
		return nil, fmt.Errorf("reading the devices: %w", err)
	}
	if len(text) > maxImport {
		return nil, fmt.Errorf("%s is larger than 256 MB: split it", file)
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil // az on Windows writes a byte order mark
}

// importDevices reads everything before it writes anything.
func (g *globals) importDevices(ctx context.Context, text []byte) error {
	var devices []map[string]any
	for d, err := range parseImport(text) {
		if err != nil {
			return err
		}
		devices = append(devices, d)
	}
	if len(devices) == 0 {
		return errors.New("there is no device in it")
	}
	s, err := g.service()
	if err != nil {
		return err
	}
	for done := 0; done < len(devices); {
		batch := devices[done:min(done+importBatch, len(devices))]
		if err := s.bulk(ctx, batch); err != nil {
			return fmt.Errorf("after %d of %d devices: %w", done, len(devices), err)
		}
		done += len(batch)
		if terminal(g.stderr) {
			fmt.Fprintf(g.stderr, "\r%d of %d devices", done, len(devices))
		}
	}
	if terminal(g.stderr) {
		g.say("")
	}
	v := struct {
		Imported int `json:"imported"`
	}{len(devices)}
	return g.print(v, func(w io.Writer) { fmt.Fprintf(w, "imported %d devices\n", v.Imported) })
}

// bulk writes up to importBatch devices: created, or updated where they exist.
func (s *service) bulk(ctx context.Context, devices []map[string]any) error {
	var result struct {
		IsSuccessful *bool `json:"isSuccessful"`
		Errors       []struct {
			DeviceID    string `json:"deviceId"`
			ErrorStatus string `json:"errorStatus"`
		} `json:"errors"`
	}
	if _, err := s.call(ctx, http.MethodPost, "/devices", nil, devices, &result); err != nil {
		return err
	}
	if len(result.Errors) > 0 {
		e := result.Errors[0]
		return fmt.Errorf("%d devices are refused; the first: %s: %s", len(result.Errors), e.DeviceID, e.ErrorStatus)
	}
	if result.IsSuccessful != nil && !*result.IsSuccessful {
		return errors.New("the hub refused the devices and does not say why")
	}
	return nil
}

// parseImport yields each device as the bulk call takes it.
func parseImport(text []byte) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		trimmed := bytes.TrimSpace(text)
		if len(trimmed) > 0 && trimmed[0] != '{' && trimmed[0] != '[' {
			yieldStrings(text, yield)
			return
		}
		n := 0
		for d, err := range decodeDevices(trimmed) {
			n++
			var m map[string]any
			if err == nil {
				m, err = d.bulk()
			}
			if err != nil {
				yield(nil, fmt.Errorf("device %d of the file: %w", n, err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func yieldStrings(text []byte, yield func(map[string]any, error) bool) {
	n := 0
	for line := range lines(text) {
		n++
		m, err := (&imported{ConnectionString: line}).bulk()
		if err != nil {
			yield(nil, fmt.Errorf("line %d of the file: %w", n, err))
			return
		}
		if !yield(m, nil) {
			return
		}
	}
}

// decodeDevices yields the elements of an array, or of a sequence of objects.
func decodeDevices(text []byte) iter.Seq2[*imported, error] {
	return func(yield func(*imported, error) bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		array := len(text) > 0 && text[0] == '['
		if array {
			_, _ = d.Token()
		}
		for {
			if array && !d.More() {
				return
			}
			one := &imported{}
			err := d.Decode(one)
			if errors.Is(err, io.EOF) && !array {
				return
			}
			if !yield(one, err) || err != nil {
				return
			}
		}
	}
}

// bulk is the device as an element of the bulk call, service REST API section
// BulkCreateOrUpdate.
func (d *imported) bulk() (map[string]any, error) {
	if err := d.fromString(); err != nil {
		return nil, err
	}
	id := cmp.Or(d.ID, d.DeviceID)
	if id == "" {
		return nil, errors.New("it has no id or deviceId")
	}
	if d.Authentication == nil {
		d.Authentication = &hub.Authentication{Type: hub.AuthSAS}
	}
	a := d.Authentication
	if a.Type == "" {
		a.Type = hub.AuthSAS
	}
	if d.PrimaryKey != "" {
		a.SymmetricKey = hub.SymmetricKey{PrimaryKey: d.PrimaryKey, SecondaryKey: cmp.Or(d.SecondaryKey, d.PrimaryKey)}
	}
	if a.Type == hub.AuthSAS && (a.SymmetricKey.PrimaryKey == "" || strings.Trim(string(a.SymmetricKey.PrimaryKey), "*") == "") {
		return nil, fmt.Errorf("%s has no keys: use az iot hub device-identity export, or show for one device", id)
	}
	m := map[string]any{"id": id, "importMode": "createOrUpdate", "authentication": authentication(a)}
	if d.ModuleID != "" {
		m["moduleId"] = d.ModuleID
	} else {
		m["status"] = cmp.Or(strings.ToLower(d.Status), hub.StatusEnabled)
	}
	if d.StatusReason != "" {
		m["statusReason"] = d.StatusReason
	}
	if d.Capabilities != nil {
		m["capabilities"] = d.Capabilities
	}
	if t := bytes.TrimSpace(d.Tags); len(t) > 0 && string(t) != "null" {
		m["tags"] = d.Tags
	}
	if d.Properties != nil && len(d.Properties.Desired) > 0 {
		delete(d.Properties.Desired, "$metadata")
		delete(d.Properties.Desired, "$version")
		m["properties"] = map[string]any{"desired": d.Properties.Desired}
	}
	return m, nil
}

// fromString takes id and key of the connection string, where there is one.
func (d *imported) fromString() error {
	if d.ConnectionString == "" || d.PrimaryKey != "" || d.Authentication != nil {
		return nil
	}
	cs, err := sas.ParseConnectionString(d.ConnectionString)
	if err != nil {
		return err
	}
	if cs.DeviceID == "" || cs.SharedAccessKey == "" {
		return errors.New("the connection string is not one of a device with a key")
	}
	d.DeviceID, d.ModuleID, d.PrimaryKey = cs.DeviceID, cs.ModuleID, hub.Secret(cs.SharedAccessKey)
	return nil
}

// lines yields the lines that are not empty, trimmed.
func lines(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}
