package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/hub"
)

// created are the flags of device create.
type created struct {
	keyFile    string
	thumbprint string
	disabled   bool
	edge       bool
}

func newDeviceCreate(g *globals) *cobra.Command {
	var f created
	c := &cobra.Command{
		Use:   "create ID",
		Short: "Create a device or module and print its connection string",
		Long: `Create a device, or a module of a device that exists (ID is DEVICE/MODULE), with
two fresh keys, and print its connection string: what a device's SDK is
configured with.`,
		Example: `  weir device create pump-1
  weir device create pump-1 --json | jq -r .connectionString
  weir device create pump-1/camera
  weir device create pump-2 --x509-thumbprint 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return g.create(c, args[0], f) },
	}
	c.Flags().StringVar(&f.keyFile, "key-file", "", "take the primary key (base64) from the first line of `FILE`, the secondary one from the second, in place of fresh ones")
	c.Flags().StringVar(&f.thumbprint, "x509-thumbprint", "", "the SHA-1 or SHA-256 fingerprint, in `HEX`, of the certificate that the device shows in place of a key")
	c.Flags().BoolVar(&f.disabled, "disabled", false, "create it disabled")
	c.Flags().BoolVar(&f.edge, "edge", false, "mark it as an IoT Edge device")
	c.MarkFlagsMutuallyExclusive("key-file", "x509-thumbprint")
	return c
}

func (g *globals) create(c *cobra.Command, arg string, f created) error {
	id, err := parseID(arg)
	if err != nil {
		return err
	}
	d, err := f.device(id)
	if err != nil {
		return err
	}
	s, err := g.service()
	if err != nil {
		return err
	}
	made, err := s.put(c.Context(), d, "")
	var r *refused
	if errors.As(err, &r) && r.Status == http.StatusConflict {
		return fmt.Errorf("%s is there already: weir device show %s prints its connection string (%w)", id, id, r)
	}
	if id.Module != "" && errors.As(err, &r) && (r.Status == http.StatusUnauthorized || r.Status == http.StatusNotFound) {
		return fmt.Errorf("is %s registered? a module needs its device (%w)", id.Device, r) // IoT Hub answers 401
	}
	if err != nil {
		return err
	}
	v := s.identity(made)
	return g.print(v, func(w io.Writer) { fmt.Fprintln(w, v.ConnectionString) })
}

// device is what the flags ask for.
func (f created) device(id hub.ID) (*hub.Device, error) {
	d := &hub.Device{DeviceID: id.Device, ModuleID: id.Module, Authentication: &hub.Authentication{Type: hub.AuthSAS}}
	if id.Module == "" {
		d.Status = hub.StatusEnabled
		if f.disabled {
			d.Status = hub.StatusDisabled
		}
		d.Capabilities = &hub.Capabilities{IotEdge: f.edge}
	} else if f.disabled || f.edge {
		return nil, errors.New("--disabled and --edge are for devices: a module follows its device")
	}
	if f.thumbprint != "" {
		d.Authentication = &hub.Authentication{Type: hub.AuthSelfSigned, X509Thumbprint: hub.X509Thumbprint{PrimaryThumbprint: f.thumbprint, SecondaryThumbprint: f.thumbprint}}
	}
	if f.keyFile != "" {
		primary, secondary, err := readKeys(f.keyFile)
		if err != nil {
			return nil, err
		}
		d.Authentication.SymmetricKey = hub.SymmetricKey{PrimaryKey: primary, SecondaryKey: secondary}
	}
	return d, nil
}

// readKeys reads one or two keys; one stands for both.
func readKeys(file string) (primary, secondary hub.Secret, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", fmt.Errorf("reading the keys: %w", err)
	}
	var keys []hub.Secret
	for line := range lines(text) {
		keys = append(keys, hub.Secret(line))
	}
	switch len(keys) {
	case 1:
		return keys[0], keys[0], nil
	case 2:
		return keys[0], keys[1], nil
	}
	return "", "", fmt.Errorf("%s has %d lines with a key: write one or two", file, len(keys))
}

func newDeviceUpdate(g *globals) *cobra.Command {
	var status, reason string
	var rotate bool
	c := &cobra.Command{
		Use:   "update ID",
		Short: "Enable or disable a device, or give it new keys",
		Long: `Enable or disable a device, or give it new keys. A device that is disabled, or
whose key is gone, is disconnected within a second.`,
		Example: `  weir device update pump-1 --status disabled --reason "stolen"
  weir device update pump-1 --status enabled
  weir device update pump-1 --new-keys --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if status == "" && reason == "" && !rotate {
				return errors.New("nothing to change: give --status, --reason or --new-keys")
			}
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			s, err := g.service()
			if err != nil {
				return err
			}
			d, err := s.device(c.Context(), id)
			if err != nil {
				return err
			}
			if err := change(d, status, reason, rotate); err != nil {
				return err
			}
			if d, err = s.put(c.Context(), d, d.ETag); err != nil {
				return err
			}
			return g.print(s.identity(d), func(w io.Writer) { describe(w, s.identity(d)) })
		},
	}
	c.Flags().StringVar(&status, "status", "", "enabled or disabled")
	c.Flags().StringVar(&reason, "reason", "", "why, up to 128 characters, shown with the status")
	c.Flags().BoolVar(&rotate, "new-keys", false, "make two fresh keys; the old ones stop working at once")
	return c
}

func change(d *hub.Device, status, reason string, rotate bool) error {
	switch status {
	case "", hub.StatusEnabled, hub.StatusDisabled:
	default:
		return fmt.Errorf("--status %q: it is enabled or disabled", status)
	}
	if d.ModuleID != "" && status+reason != "" {
		return errors.New("--status and --reason are for devices: a module follows its device")
	}
	if status != "" {
		d.Status, d.StatusReason = status, ""
	}
	if reason != "" {
		d.StatusReason = reason
	}
	if rotate {
		if a := d.Authentication; a == nil || a.Type != hub.AuthSAS {
			return errors.New("--new-keys: the device has a certificate, not keys")
		}
		d.Authentication.SymmetricKey = hub.SymmetricKey{} // the hub makes them
	}
	return nil
}

// moment writes a time for people; IoT Hub's "never" is year 1.
func moment(t time.Time) string {
	if t.Year() <= 1 {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
