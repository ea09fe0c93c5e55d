package node

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/store"
)

// TestStoreAheadOfLog: with a hot store that knows records which the log never
// had, as after its folder was lost, nothing is served: what came in would be
// taken for them. All is closed behind it.
func TestStoreAheadOfLog(t *testing.T) {
	c := small(t)
	var said bytes.Buffer
	n, err := Open(t.Context(), c, "test", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.store.Upsert(t.Context(), nil, store.Mark{Consumer: hotConsumer, Ordinal: 5}); err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); !errors.As(err, new(eventlog.ErrAhead)) || !strings.Contains(err.Error(), "move the store's folder away") {
		t.Errorf("the node ended with %v", err)
	}
	if strings.Contains(said.String(), "msg=ready") {
		t.Errorf("it served: %s", said.String())
	}
	if err := open(t, c).Close(); err != nil {
		t.Errorf("opening it again: %v", err)
	}
}
