package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/weir-iot/weir/hub"
)

// speaker answers for which devices a sender may write documents: for ids that
// nobody has registered, as the article's gateway does for its leaves, and for
// devices in the scope of a sender that is an edge gateway (capabilities.iotEdge).
// A registered device without a parent speaks for itself alone, so no other can
// forge its data.
// It remembers answers for a moment, since it is asked for every row. It is
// called from one goroutine.
type speaker struct {
	device func(context.Context, hub.ID) (*hub.Device, error)
	now    func() time.Time
	known  map[pair]answer
}

type pair struct{ sender, device string }

type answer struct {
	may   bool
	until time.Time
}

const (
	rememberFor = 5 * time.Second
	rememberMax = 100_000 // answers, about 20 MB
)

func newSpeaker(h *hub.Hub) *speaker {
	return &speaker{device: h.Device, now: time.Now, known: map[pair]answer{}}
}

func (s *speaker) speaks(sender, device string) bool {
	key, now := pair{sender, device}, s.now()
	if a, ok := s.known[key]; ok && now.Before(a.until) {
		return a.may
	}
	if len(s.known) >= rememberMax {
		clear(s.known)
	}
	a := answer{s.look(sender, device), now.Add(rememberFor)}
	s.known[key] = a
	return a.may
}

// look asks the registry. Where it cannot be read the answer is no: the row is
// kept under its sender.
func (s *speaker) look(sender, device string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	leaf, err := s.device(ctx, hub.ID{Device: device})
	if errors.Is(err, hub.ErrDeviceNotFound) {
		return true
	}
	if err != nil {
		return false
	}
	gateway, err := s.device(ctx, hub.ID{Device: sender})
	if err != nil || gateway.Capabilities == nil || !gateway.Capabilities.IotEdge || gateway.DeviceScope == "" {
		return false
	}
	return leaf.DeviceScope == gateway.DeviceScope || slices.Contains(leaf.ParentScopes, gateway.DeviceScope)
}
