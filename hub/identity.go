package hub

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"strconv"
	"time"
)

// Device returns one identity (device or module). ErrDeviceNotFound, ErrModuleNotFound.
func (h *Hub) Device(ctx context.Context, id ID) (*Device, error) {
	d, _, err := h.identity(ctx, id)
	if err != nil {
		return nil, err
	}
	return h.overlay(d), nil
}

// Devices returns up to max devices in order of id; Modules those of one device.
func (h *Hub) Devices(ctx context.Context, max int) ([]*Device, error) {
	found := []*Device{}
	for d, err := range h.registry.Devices(ctx, ID{}) {
		if err != nil {
			return nil, h.failure("listing devices", ID{}, err)
		}
		if len(found) >= max {
			break
		}
		if d.ModuleID == "" {
			found = append(found, h.overlay(d))
		}
	}
	return found, nil
}

// Modules: see Devices. ErrDeviceNotFound.
func (h *Hub) Modules(ctx context.Context, deviceID string) ([]*Device, error) {
	if _, _, err := h.identity(ctx, ID{Device: deviceID}); err != nil {
		return nil, err
	}
	found, err := h.modules(ctx, deviceID)
	for _, d := range found {
		h.overlay(d)
	}
	return found, err
}

func (h *Hub) modules(ctx context.Context, deviceID string) ([]*Device, error) {
	found := []*Device{}
	for d, err := range h.registry.Devices(ctx, ID{Device: deviceID}) {
		if err != nil {
			return nil, h.failure("listing modules", ID{Device: deviceID}, err)
		}
		if d.DeviceID != deviceID {
			break
		}
		found = append(found, d)
	}
	return found, nil
}

// PutDevice creates (ifMatch "") or updates an identity. An update without
// Authentication gets new keys. ErrDeviceAlreadyExists, ErrModuleAlreadyExists,
// ErrDeviceNotFound, ErrPrecondition, ErrArgument. Live sessions that the
// identity would not admit any more are cut before PutDevice returns.
func (h *Hub) PutDevice(ctx context.Context, d *Device, ifMatch string) (*Device, error) {
	id := d.ID()
	if err := id.check(); err != nil {
		return nil, err
	}
	auth, err := d.Authentication.complete()
	if err != nil {
		return nil, err
	}
	l := h.lock(id.Device)
	l.Lock()
	defer l.Unlock()
	current, err := h.registry.Device(ctx, id)
	if err != nil && !errors.Is(err, id.NotFound()) {
		return nil, h.failure("reading a device", id, err)
	}
	if err := precondition(id, current, ifMatch); err != nil {
		return nil, err
	}
	if current == nil && id.Module != "" {
		if err := h.roomForModule(ctx, id); err != nil {
			return nil, err
		}
	}
	next, err := d.next(current, auth, h.stamp())
	if err != nil {
		return nil, err
	}
	if current == nil {
		next.setGeneration(h.newGeneration())
	}
	if err := h.writeDevice(ctx, current, next); err != nil {
		return nil, err
	}
	h.cut(next)
	return h.overlay(next), nil
}

// precondition checks If-Match: absent, it means that there must be no such identity.
func precondition(id ID, current *Device, ifMatch string) error {
	switch {
	case ifMatch == "" && current != nil && id.Module != "":
		return ErrModuleAlreadyExists.With("module %q is registered already on device %q", id.Module, id.Device)
	case ifMatch == "" && current != nil:
		return ErrDeviceAlreadyExists.With("device %q is registered already", id.Device)
	case ifMatch != "" && current == nil:
		return id.NotFound()
	case ifMatch != "" && ifMatch != "*" && ifMatch != current.ETag:
		return ErrPrecondition
	}
	return nil
}

func (h *Hub) roomForModule(ctx context.Context, id ID) error {
	if _, _, err := h.identity(ctx, id.parent()); err != nil {
		return err
	}
	have, err := h.modules(ctx, id.Device)
	if err != nil {
		return err
	}
	if len(have) >= h.limits.Modules {
		return ErrTooManyModules.With("device %q has %d modules already", id.Device, len(have))
	}
	return nil
}

// next is the row that d makes of current, nil when it is created. What the
// hub decides is never taken from d.
func (d *Device) next(current *Device, auth *Authentication, now time.Time) (*Device, error) {
	n := &Device{
		DeviceID: d.DeviceID, ModuleID: d.ModuleID,
		ETag:   newETag(),
		Status: d.Status, StatusReason: d.StatusReason,
		Authentication: auth, Capabilities: d.Capabilities,
		DeviceScope: d.DeviceScope, ParentScopes: d.ParentScopes, ManagedBy: d.ManagedBy,
	}
	if len(n.StatusReason) > maxStatusReason {
		return nil, ErrArgument.With("statusReason has %d bytes, %d are allowed", len(n.StatusReason), maxStatusReason)
	}
	if n.ModuleID != "" {
		n.Status, n.StatusReason, n.Capabilities = "", "", nil
	} else {
		if n.Status == "" {
			n.Status = StatusEnabled
		}
		if n.Status != StatusEnabled && n.Status != StatusDisabled {
			return nil, ErrArgument.With("status must be %s or %s", StatusEnabled, StatusDisabled)
		}
		if n.Capabilities == nil {
			n.Capabilities = &Capabilities{}
		}
	}
	if current != nil {
		n.GenerationID = current.GenerationID
		n.StatusUpdatedTime = current.StatusUpdatedTime
		n.LastActivityTime = current.LastActivityTime
		n.ConnectionStateUpdatedTime = current.ConnectionStateUpdatedTime
		if n.Status != current.Status {
			n.StatusUpdatedTime = now
		}
	}
	return n, nil
}

// maxStatusReason is in bytes, as IoT Hub has it.
const maxStatusReason = 128

// writeDevice writes next, and the first twin of a new identity.
func (h *Hub) writeDevice(ctx context.Context, current, next *Device) error {
	changes := []Change{PutDevice{Device: next}}
	if current != nil {
		changes[0] = PutDevice{Device: next, If: current.ETag}
	} else {
		changes = append(changes, PutTwin{ID: next.ID(), Twin: newTwin(h.stamp())})
	}
	if err := h.registry.Write(ctx, changes...); err != nil {
		return h.failure("writing a device", next.ID(), err)
	}
	h.counts.replace(current, next)
	return nil
}

// DeleteDevice removes an identity with its modules, twin and queue, and cuts
// their sessions before it returns. ErrPrecondition also where ifMatch is "".
func (h *Hub) DeleteDevice(ctx context.Context, id ID, ifMatch string) error {
	l := h.lock(id.Device)
	l.Lock()
	defer l.Unlock()
	d, _, err := h.identity(ctx, id)
	if err != nil {
		return err
	}
	if ifMatch == "" || ifMatch != "*" && ifMatch != d.ETag {
		return ErrPrecondition
	}
	if err := h.removeDevice(ctx, d); err != nil {
		return err
	}
	for _, s := range h.sessionsOf(id) {
		s.end(ErrRevoked, true)
	}
	h.forgetActivity(id)
	return nil
}

// removeDevice removes the rows of d. A device's queue is locked meanwhile, so
// that no session writes a message back.
func (h *Hub) removeDevice(ctx context.Context, d *Device) (err error) {
	if d.ModuleID == "" {
		q := h.openQueue(d.DeviceID, true)
		defer h.closeQueue(q)
		defer func() {
			if err == nil {
				q.items = nil
			}
		}()
	}
	if err := h.registry.Write(ctx, DeleteDevice{ID: d.ID(), If: d.ETag}); err != nil {
		return h.failure("deleting a device", d.ID(), err)
	}
	h.counts.replace(d, nil)
	return nil
}

// cut ends the sessions that d does not admit any more. The device's lock is held.
func (h *Hub) cut(d *Device) {
	for _, s := range h.sessionsOf(d.ID()) {
		if s.id == d.ID() && !s.proof.good(d) || d.Status == StatusDisabled {
			s.end(ErrRevoked, true)
		}
	}
}

// complete checks what a service sent and fills in what is missing. nil, and a
// SAS identity without keys, get new ones.
func (a *Authentication) complete() (*Authentication, error) {
	if a == nil {
		a = &Authentication{}
	}
	c := *a
	if c.Type == "" {
		c.Type = AuthSAS
		if c.X509Thumbprint != (X509Thumbprint{}) {
			c.Type = AuthSelfSigned
		}
	}
	switch c.Type {
	case AuthSAS:
		c.X509Thumbprint = X509Thumbprint{}
		return &c, c.SymmetricKey.complete()
	case AuthSelfSigned:
		c.SymmetricKey = SymmetricKey{}
		return &c, c.X509Thumbprint.check()
	case AuthCA, AuthNone:
		c.SymmetricKey, c.X509Thumbprint = SymmetricKey{}, X509Thumbprint{}
		return &c, nil
	}
	return nil, ErrArgument.With("authentication.type must be %s, %s, %s or %s", AuthSAS, AuthSelfSigned, AuthCA, AuthNone)
}

func (k *SymmetricKey) complete() error {
	if k.PrimaryKey == "" && k.SecondaryKey == "" {
		k.PrimaryKey, k.SecondaryKey = newSecret(), newSecret()
		return nil
	}
	if k.PrimaryKey == "" || k.SecondaryKey == "" {
		return ErrArgument.With("give both primaryKey and secondaryKey, or neither for new ones")
	}
	return errors.Join(k.PrimaryKey.check("primaryKey"), k.SecondaryKey.check("secondaryKey"))
}

func (t X509Thumbprint) check() error {
	if t == (X509Thumbprint{}) {
		return ErrArgument.With("a selfSigned identity needs a thumbprint")
	}
	for _, s := range []string{t.PrimaryThumbprint, t.SecondaryThumbprint} {
		b, err := hex.DecodeString(plainThumbprint(s))
		if err != nil || len(b) != 0 && len(b) != 20 && len(b) != 32 {
			return ErrArgument.With("a thumbprint must be SHA-1 or SHA-256 in hexadecimal")
		}
	}
	return nil
}

// newETag is base64 of a random decimal number, as IoT Hub's look.
func newETag() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return base64.StdEncoding.EncodeToString([]byte(n.String()))
}

// newGeneration is the time in .NET ticks, and higher than the one before.
func (h *Hub) newGeneration() int64 {
	const toUnix = 621_355_968_000_000_000
	for {
		last := h.generation.Load()
		next := max(last+1, toUnix+h.now().UnixNano()/100)
		if h.generation.CompareAndSwap(last, next) {
			return next
		}
	}
}

// setGeneration also names the scope of an edge device after it.
func (d *Device) setGeneration(n int64) {
	d.GenerationID = strconv.FormatInt(n, 10)
	if d.Capabilities != nil && d.Capabilities.IotEdge && d.DeviceScope == "" {
		d.DeviceScope = "ms-azure-iot-edge://" + d.DeviceID + "-" + d.GenerationID
	}
}
