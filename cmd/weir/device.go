package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/hub"
)

func newDevice(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "device",
		Short: "Create, import, list, show, update and delete devices, and talk to them",
		Long: `Work with the devices of a running weir, or of the hub of --connection-string.
ID is a device's id, or DEVICE/MODULE where modules make sense.`,
		Example: `  weir device create pump-1 --json
  weir device send pump-1 '{"temperature":21.5}'
  weir device monitor pump-1`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDeviceCreate(g), newDeviceImport(g), newDeviceList(g), newDeviceShow(g), newDeviceUpdate(g), newDeviceDelete(g),
		newDeviceSend(g), newDeviceMessage(g), newDeviceMonitor(g), newDeviceInvoke(g), newDeviceTwin(g))
	return c
}

// An identity is a device or module as the commands print it.
type identity struct {
	*hub.Device
	ConnectionString string `json:"connectionString,omitempty"`
}

// identity adds the connection string to d.
func (s *service) identity(d *hub.Device) identity {
	if a := d.Authentication; a == nil || (a.Type == hub.AuthSAS && a.SymmetricKey.PrimaryKey == "") {
		return identity{Device: d} // without a key there is none
	}
	return identity{d, d.ConnectionString(s.deviceHost())}
}

// deviceHost is the host name that devices connect to: with a port where MQTT
// is not at the SDKs' own.
func (s *service) deviceHost() string {
	if s.state != nil {
		return s.state.DeviceHost()
	}
	return s.cs.HostName
}

func (s *service) device(ctx context.Context, id hub.ID) (*hub.Device, error) {
	d := &hub.Device{}
	_, err := s.call(ctx, http.MethodGet, devicePath("devices", id), nil, nil, d)
	return d, notFound(err, id)
}

// put creates (ifMatch "") or updates an identity.
func (s *service) put(ctx context.Context, d *hub.Device, ifMatch string) (*hub.Device, error) {
	header := http.Header{}
	if ifMatch != "" {
		header.Set("If-Match", `"`+ifMatch+`"`)
	}
	made := &hub.Device{}
	_, err := s.call(ctx, http.MethodPut, devicePath("devices", d.ID()), header, written(d), made)
	return made, err
}

// written is the part of d that a caller may write: Azure refuses some of the rest.
func written(d *hub.Device) map[string]any {
	m := map[string]any{"deviceId": d.DeviceID}
	if d.ModuleID != "" {
		m["moduleId"], m["managedBy"] = d.ModuleID, d.ManagedBy
	} else {
		m["status"], m["statusReason"] = d.Status, d.StatusReason
		m["capabilities"] = d.Capabilities
	}
	if d.ETag != "" {
		m["etag"] = d.ETag
	}
	if a := d.Authentication; a != nil {
		m["authentication"] = authentication(a)
	}
	return m
}

// authentication leaves out what is not of a's type.
func authentication(a *hub.Authentication) map[string]any {
	m := map[string]any{"type": a.Type}
	switch a.Type {
	case hub.AuthSAS:
		m["symmetricKey"] = map[string]string{"primaryKey": string(a.SymmetricKey.PrimaryKey), "secondaryKey": string(a.SymmetricKey.SecondaryKey)}
	case hub.AuthSelfSigned:
		m["x509Thumbprint"] = a.X509Thumbprint
	}
	return m
}

// notFound names the device in a refusal, and says what to do.
func notFound(err error, id hub.ID) error {
	return absent(err, id, "create it with: weir device create "+id.String())
}

func absent(err error, id hub.ID, remedy string) error {
	var r *refused
	if errors.As(err, &r) && r.Status == http.StatusNotFound && (r.Name == "DeviceNotFound" || r.Name == "ModuleNotFound") {
		return fmt.Errorf("%s is not registered: %s (%w)", id, remedy, r)
	}
	return err
}

func newDeviceShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show a device or module, with its connection string",
		Example: "  weir device show pump-1\n  weir device show pump-1/camera --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
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
			return g.print(s.identity(d), func(w io.Writer) { describe(w, s.identity(d)) })
		},
	}
}

// describe writes an identity for people.
func describe(w io.Writer, d identity) {
	rows := [][]string{{"id", d.ID().String()}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	status := d.Status
	if d.StatusReason != "" {
		status += " (" + d.StatusReason + ")"
	}
	add("status", status)
	add("connection", d.ConnectionState)
	add("last activity", moment(d.LastActivityTime))
	if d.CloudToDeviceMessageCount > 0 {
		add("messages waiting", fmt.Sprint(d.CloudToDeviceMessageCount))
	}
	if d.Authentication != nil {
		add("authentication", d.Authentication.Type)
	}
	add("connection string", d.ConnectionString)
	table(w, rows)
}

func newDeviceDelete(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID...",
		Short:   "Delete devices or modules, with their twins and waiting messages",
		Long:    "Delete devices or modules, with their twins and waiting messages. Their connections\nare cut; their telemetry stays until it expires.",
		Example: "  weir device delete pump-1 pump-2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := g.service()
			if err != nil {
				return err
			}
			for _, arg := range args {
				id, err := parseID(arg)
				if err != nil {
					return err
				}
				if _, err := s.call(c.Context(), http.MethodDelete, devicePath("devices", id), http.Header{"If-Match": {`"*"`}}, nil, nil); err != nil {
					return absent(err, id, "nothing to delete; weir device list shows what there is")
				}
				v := struct {
					Deleted string `json:"deleted"`
				}{id.String()}
				if err := g.print(v, func(w io.Writer) { fmt.Fprintln(w, "deleted", id) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
