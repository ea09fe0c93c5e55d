package hub_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weir-iot/weir/hub"
)

// A logBook is what was logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns the lines since the last call.
func (l *logBook) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSuffix(l.b.String(), "\n"), "\n")
	l.b.Reset()
	if lines[0] == "" {
		return nil
	}
	return lines
}

// A device that is refused again and again is logged once per cause, then
// counted; so is a crowd of strangers. None can write long lines.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		h := newHub(t, func(o *hub.Options) { o.Logger = slog.New(slog.NewTextHandler(&book, nil)) })
		defer h.Close()
		d := h.device("d")
		try := func(id, token string) {
			t.Helper()
			_, err := h.Connect(t.Context(), hub.Credential{ID: hub.ID{Device: id}, Token: token, RemoteAddr: "192.0.2.1:99", ClientType: strings.Repeat("c", 10_000)}, nil)
			wantError(t, err, hub.ErrUnauthorized)
		}
		time.Sleep(2 * time.Second) // the first period begins
		for range 100 {
			try("d", "")
			try("d", token(t, d, -time.Hour))
			try(strings.Repeat("x", 10_000)+"#", "")
		}
		got := book.take()
		if len(got) != 3 || !strings.Contains(got[0], "neither a token") || !strings.Contains(got[1], "expired") || !strings.Contains(got[2], "remote=192.0.2.1:99") {
			t.Errorf("logged %d lines: %.300q", len(got), got)
		}
		for _, line := range got {
			if len(line) > 1000 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		time.Sleep(11 * time.Second)
		if got := book.take(); len(got) != 1 || !strings.Contains(got[0], "count=297") {
			t.Errorf("summary: %q", got)
		}
		time.Sleep(30 * time.Second)
		if got := book.take(); got != nil {
			t.Errorf("summary of nothing: %q", got)
		}
		for i := range 10_000 {
			try(fmt.Sprint("stranger", i), "")
		}
		if got := book.take(); len(got) != 50 {
			t.Errorf("%d lines about strangers, want 50", len(got))
		}
	})
}
