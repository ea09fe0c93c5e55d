package hub

import (
	"net"
	"sync"
	"time"
)

// Bounds of the log lines about refused connections: devices with a wrong key
// try again for ever, and anybody can try.
const (
	refusalEvery  = 10 * time.Second // a summary of what was not logged
	refusalLines  = 50               // first refusals logged in that time
	refusalMemory = 4096             // of who was refused why; beyond it all are forgotten
	refusalField  = 256              // bytes of what a stranger says
)

// A refused is who was refused, and why: logged once.
type refused struct{ who, cause string }

// refusals counts what is not logged.
type refusals struct {
	mu     sync.Mutex
	known  map[refused]struct{}
	lines  int // logged since the last summary
	silent int // not logged since then
	since  time.Time
}

// first says whether a refusal is to be logged, and counts it if not.
func (r *refusals) first(who, cause string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := refused{who, cause}
	if _, known := r.known[key]; known || r.lines >= refusalLines {
		r.silent++
		return false
	}
	if r.known == nil || len(r.known) >= refusalMemory {
		r.known = map[refused]struct{}{}
	}
	r.known[key] = struct{}{}
	r.lines++
	return true
}

// summary returns how many refusals were not logged when it is time to say so.
func (r *refusals) summary(now time.Time) (silent int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if passed := now.Sub(r.since); passed >= 0 && passed < refusalEvery { // negative: the clock was set back
		return 0
	}
	silent, r.silent, r.lines, r.since = r.silent, 0, 0, now
	return silent
}

// LogRefusal logs that a connection of c was refused: the first time for each
// device, or remote host where no device is named, and cause. What is like it,
// or too much, is counted in one line every 10 s.
func (h *Hub) LogRefusal(c Credential, cause string) {
	device := ""
	if c.ID.check() == nil {
		device = c.ID.String()
	}
	who := device
	if who == "" {
		who = c.RemoteAddr
		if host, _, err := net.SplitHostPort(c.RemoteAddr); err == nil {
			who = host
		}
	}
	cause = clip(cause)
	if !h.refusals.first(clip(who), cause) {
		return
	}
	h.logger.Info("connection refused", "device", device, "cause", cause,
		"protocol", c.Protocol, "remote", clip(c.RemoteAddr), "client", clip(c.ClientType))
}

func clip(s string) string { return s[:min(len(s), refusalField)] }

func (h *Hub) summarizeRefusals(now time.Time) {
	if n := h.refusals.summary(now); n > 0 {
		h.logger.Info("connections refused, not logged one by one", "count", n)
	}
}
