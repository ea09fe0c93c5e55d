package hub_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/hub"
)

func TestBadCredentials(t *testing.T) {
	h := newHub(t)
	d, m, off, cert := h.device("d"), h.device("d/m"), h.device("off"), hub.Device{DeviceID: "cert"}
	offModule := h.device("off/m")
	off.Status = hub.StatusDisabled
	if _, err := h.PutDevice(t.Context(), off, "*"); err != nil {
		t.Fatal(err)
	}
	cert.Authentication = &hub.Authentication{Type: hub.AuthNone}
	if _, err := h.PutDevice(t.Context(), &cert, ""); err != nil {
		t.Fatal(err)
	}
	service, _ := h.policies.Policy("service")
	key := string(d.Authentication.SymmetricKey.PrimaryKey)
	id := hub.ID{Device: "d"}
	for name, c := range map[string]hub.Credential{
		"nothing":                     {ID: id},
		"no token":                    {ID: id, Token: "password"},
		"wrong key":                   {ID: id, Token: sign(t, "h/devices/d", goodKey, "", time.Hour)},
		"expired":                     {ID: id, Token: token(t, d, -time.Second)},
		"of another device":           {ID: id, Token: token(t, off, time.Hour)},
		"for another device":          {ID: id, Token: sign(t, "h/devices/e", key, "", time.Hour)},
		"for a longer name":           {ID: id, Token: sign(t, "h/devices/d/modules/m", key, "", time.Hour)},
		"module by its device":        {ID: m.ID(), Token: sign(t, "h/devices/d", key, "", time.Hour)},
		"unknown device":              {ID: hub.ID{Device: "x"}, Token: sign(t, "h/devices/x", key, "", time.Hour)},
		"unknown module":              {ID: hub.ID{Device: "d", Module: "x"}, Token: sign(t, "h/devices/d/modules/x", key, "", time.Hour)},
		"bad id":                      {ID: hub.ID{Device: "d/#"}, Token: token(t, d, time.Hour)},
		"no id":                       {},
		"disabled":                    {ID: off.ID(), Token: token(t, off, time.Hour)},
		"module of a disabled":        {ID: offModule.ID(), Token: token(t, offModule, time.Hour)},
		"without keys":                {ID: cert.ID(), Token: sign(t, "h/devices/cert", goodKey, "", time.Hour)},
		"unknown policy":              {ID: id, Token: sign(t, "h", key, "nobody", time.Hour)},
		"policy without permission":   {ID: id, Token: sign(t, "h", string(service.PrimaryKey), "service", time.Hour)},
		"certificate of a SAS device": {ID: id, Certificates: []*x509.Certificate{certificate}},
	} {
		s, err := h.Connect(t.Context(), c, newDoor())
		if s != nil || !errors.Is(err, hub.ErrUnauthorized) || err.Error() != hub.ErrUnauthorized.Error() {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestGoodCredentials(t *testing.T) {
	h := newHub(t)
	d, m := h.device("d"), h.device("d/m")
	short, long := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw)
	for id, thumbprint := range map[string]string{"short": hex.EncodeToString(short[:]), "long": hex.EncodeToString(long[:])} {
		a := &hub.Authentication{X509Thumbprint: hub.X509Thumbprint{SecondaryThumbprint: thumbprint}}
		if _, err := h.PutDevice(t.Context(), &hub.Device{DeviceID: id, Authentication: a}, ""); err != nil {
			t.Fatal(err)
		}
	}
	policy, _ := h.policies.Policy("device")
	secondary := string(d.Authentication.SymmetricKey.SecondaryKey)
	for name, c := range map[string]hub.Credential{
		"primary key":         {ID: d.ID(), Token: token(t, d, time.Hour)},
		"secondary key":       {ID: d.ID(), Token: sign(t, "any.host/devices/d", secondary, "", time.Hour)},
		"all devices":         {ID: d.ID(), Token: sign(t, "h/devices", secondary, "", time.Hour)},
		"module":              {ID: m.ID(), Token: token(t, m, time.Hour)},
		"policy":              {ID: d.ID(), Token: sign(t, "h", string(policy.PrimaryKey), "device", time.Hour)},
		"policy for a module": {ID: m.ID(), Token: sign(t, "h/devices/d", string(policy.SecondaryKey), "device", time.Hour)},
		"SHA-1 thumbprint":    {ID: hub.ID{Device: "short"}, Certificates: []*x509.Certificate{certificate}},
		"SHA-256 thumbprint":  {ID: hub.ID{Device: "long"}, Certificates: []*x509.Certificate{certificate}},
	} {
		s, err := h.Connect(t.Context(), c, newDoor())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.ID() != c.ID {
			t.Errorf("%s: connected as %s", name, s.ID())
		}
		s.Close()
	}
}

func TestNewerConnectionWins(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	first, r1 := h.connect(d, hub.FeedDesired)
	since := h.get(d.ID()).ConnectionStateUpdatedTime
	second, r2 := h.connect(d, hub.FeedDesired)
	h.wantEvents(r1, "disconnect ConnectionForcefullyClosedOnNewConnection")
	first.Close() // late, as its door notices
	if got := h.get(d.ID()); got.ConnectionState != hub.StateConnected || got.ConnectionStateUpdatedTime.Before(since) {
		t.Errorf("%+v: the newer session lives", got)
	}
	wantError(t, first.Subscribe(t.Context(), hub.FeedDesired), hub.ErrReplaced)
	if _, err := h.PatchTwin(t.Context(), d.ID(), []byte(`{"properties":{"desired":{"a":1}}}`), ""); err != nil {
		t.Fatal(err)
	}
	h.wantEvents(r1, "")
	h.wantEvents(r2, `desired 2 {"$version":2,"a":1}`)

	pull, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token(t, d, time.Hour)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pull.Close()
	h.wantEvents(r2, "") // a request over HTTPS replaces nobody
	second.Close()
	second.Close()
	if got := h.get(d.ID()); got.ConnectionState != hub.StateDisconnected {
		t.Errorf("%+v: nobody is connected", got)
	}
	h.wantEvents(r2, "") // its own door closed it
}

func TestTokenExpiryCutsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		r := newDoor()
		s, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token(t, d, 90*time.Second)}, r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(88 * time.Second)
		h.wantEvents(r, "")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		h.wantEvents(r, "disconnect IotHubUnauthorized")
		wantError(t, s.Subscribe(t.Context(), hub.FeedDesired), hub.ErrExpired)
	})
}

func TestRevokedRightsCutAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, h *testHub, d *hub.Device) error
		device bool // whether the device, and
		module bool // its module are cut
	}{
		"disabled": {func(t *testing.T, h *testHub, d *hub.Device) error {
			d.Status = hub.StatusDisabled
			_, err := h.PutDevice(t.Context(), d, "*")
			return err
		}, true, true},
		"deleted": {func(t *testing.T, h *testHub, d *hub.Device) error {
			return h.DeleteDevice(t.Context(), d.ID(), "*")
		}, true, true},
		"new keys": {func(t *testing.T, h *testHub, d *hub.Device) error {
			d.Authentication = nil
			_, err := h.PutDevice(t.Context(), d, "*")
			return err
		}, true, false},
		"its key replaced": {func(t *testing.T, h *testHub, d *hub.Device) error {
			d.Authentication.SymmetricKey.PrimaryKey = goodKey
			_, err := h.PutDevice(t.Context(), d, "*")
			return err
		}, true, false},
		"the other key replaced": {func(t *testing.T, h *testHub, d *hub.Device) error {
			d.Authentication.SymmetricKey.SecondaryKey = goodKey
			_, err := h.PutDevice(t.Context(), d, "*")
			return err
		}, false, false},
		"keys swapped": {func(t *testing.T, h *testHub, d *hub.Device) error {
			k := &d.Authentication.SymmetricKey
			k.PrimaryKey, k.SecondaryKey = k.SecondaryKey, k.PrimaryKey
			_, err := h.PutDevice(t.Context(), d, "*")
			return err
		}, false, false},
		"module deleted": {func(t *testing.T, h *testHub, d *hub.Device) error {
			return h.DeleteDevice(t.Context(), hub.ID{Device: "d", Module: "m"}, "*")
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			d, m, other := h.device("d"), h.device("d/m"), h.device("other")
			_, rd := h.connect(d, 0)
			_, rm := h.connect(m, 0)
			_, ro := h.connect(other, 0)
			if err := c.change(t, h, d); err != nil {
				t.Fatal(err)
			}
			for r, cut := range map[*door]bool{rd: c.device, rm: c.module, ro: false} {
				want := ""
				if cut {
					want = "disconnect IotHubUnauthorizedAccess"
				}
				h.wantEvents(r, want)
			}
		})
	}
}

func TestSecondaryKeyIsItsOwnRight(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	k := &d.Authentication.SymmetricKey
	r := newDoor()
	c := hub.Credential{ID: d.ID(), Token: sign(t, "h/devices/d", string(k.SecondaryKey), "", time.Hour)}
	if _, err := h.Connect(t.Context(), c, r); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		key  *hub.Secret
		want string
	}{{&k.PrimaryKey, ""}, {&k.SecondaryKey, "disconnect IotHubUnauthorizedAccess"}} {
		*step.key = goodKey
		if _, err := h.PutDevice(t.Context(), d, "*"); err != nil {
			t.Fatal(err)
		}
		h.wantEvents(r, step.want)
	}
}

// TestNoSessionOutlivesItsRights connects while the device is disabled: either
// the connection is refused or it is cut.
func TestNoSessionOutlivesItsRights(t *testing.T) {
	h := newHub(t)
	for range 100 {
		d := h.device("d")
		r := newDoor()
		credential := hub.Credential{ID: d.ID(), Token: token(t, d, time.Hour)}
		var wg sync.WaitGroup
		var s *hub.Session
		var err error
		wg.Go(func() { s, err = h.Connect(t.Context(), credential, r) })
		d.Status = hub.StatusDisabled
		if _, err := h.PutDevice(t.Context(), d, "*"); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err == nil && s.Subscribe(t.Context(), 0) == nil {
			t.Fatal("a session of a disabled device lives")
		}
		if err := h.DeleteDevice(t.Context(), d.ID(), "*"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseDisconnectsEverybody(t *testing.T) {
	h := newHub(t)
	d := h.device("d")
	_, r := h.connect(d, 0)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.wantEvents(r, "disconnect ServiceUnavailable")
	_, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token(t, d, time.Hour)}, newDoor())
	wantError(t, err, hub.ErrUnavailable)
}

func TestAuthorize(t *testing.T) {
	h := newHub(t)
	key := func(name string) string {
		p, ok := h.policies.Policy(name)
		if !ok {
			t.Fatal(name)
		}
		return string(p.PrimaryKey)
	}
	const all = hub.RegistryRead | hub.RegistryWrite | hub.ServiceConnect | hub.DeviceConnect
	for _, c := range []struct {
		policy, sr, resource string
		need                 hub.Permission
		life                 time.Duration
		want                 error
	}{
		{"iothubowner", "localhost", "", all, time.Hour, nil},
		{"iothubowner", "other.host:8443", "devices/d", all, time.Hour, nil},
		{"iothubowner", "localhost/devices/d", "devices/d/modules/m", all, time.Hour, nil},
		{"iothubowner", "localhost/devices/d", "devices/e", all, time.Hour, hub.ErrUnauthorized},
		{"iothubowner", "localhost", "", all, -time.Hour, hub.ErrUnauthorized},
		{"service", "localhost", "", hub.ServiceConnect, time.Hour, nil},
		{"service", "localhost", "", hub.RegistryRead, time.Hour, hub.ErrUnauthorized},
		{"device", "localhost", "", hub.DeviceConnect, time.Hour, nil},
		{"device", "localhost", "", hub.ServiceConnect, time.Hour, hub.ErrUnauthorized},
		{"registryRead", "localhost", "", hub.RegistryRead, time.Hour, nil},
		{"registryRead", "localhost", "", hub.RegistryRead | hub.RegistryWrite, time.Hour, hub.ErrUnauthorized},
		{"registryReadWrite", "localhost", "", hub.RegistryRead | hub.RegistryWrite, time.Hour, nil},
		{"registryReadWrite", "localhost", "", hub.ServiceConnect, time.Hour, hub.ErrUnauthorized},
	} {
		err := h.Authorize(sign(t, c.sr, key(c.policy), c.policy, c.life), c.resource, c.need)
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for name, header := range map[string]string{
		"nothing":        "",
		"another policy": sign(t, "localhost", key("service"), "iothubowner", time.Hour),
		"no policy":      sign(t, "localhost", key("iothubowner"), "", time.Hour),
		"unknown policy": sign(t, "localhost", key("iothubowner"), "root", time.Hour),
		"bearer":         "Bearer abc",
	} {
		if err := h.Authorize(header, "", hub.RegistryRead); !errors.Is(err, hub.ErrUnauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is meant for a device does not reach a connection whose token has
// expired, not even in the second until it is cut.
func TestExpiredSessionIsHandedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := h.device("d")
		r := newDoor()
		s, err := h.Connect(t.Context(), hub.Credential{ID: d.ID(), Token: token(t, d, 90*time.Second)}, r)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, s.Subscribe(t.Context(), hub.FeedCloudToDevice|hub.FeedMethods|hub.FeedDesired), nil)
		time.Sleep(89*time.Second + 999*time.Millisecond)
		time.Sleep(time.Until(s.Expires())) // the hub looks a moment later
		h.queue(d, "secret", "")
		if _, err := h.PatchTwin(t.Context(), d.ID(), []byte(`{"properties":{"desired":{"a":1}}}`), ""); err != nil {
			t.Fatal(err)
		}
		_, err = h.Invoke(t.Context(), d.ID(), hub.MethodRequest{Name: "m"})
		wantError(t, err, hub.ErrDeviceNotOnline)
		if got := r.take(); strings.Contains(got, "secret") || strings.Contains(got, "desired") {
			t.Errorf("an expired session got %q", got)
		}
		if got := h.get(d.ID()).CloudToDeviceMessageCount; got != 1 {
			t.Errorf("%d messages wait, want 1", got)
		}
	})
}
