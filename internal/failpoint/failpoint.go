// Package failpoint lets crash tests kill the real process at a named place.
// WEIR_FAILPOINT=name or name:n in the environment kills it with SIGKILL when
// that place is passed for the n-th time. Without it a Hit costs one load of a
// nil pointer.
package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

type point struct {
	name string
	left atomic.Int64
}

var armed = fromEnv(os.Getenv("WEIR_FAILPOINT"))

func fromEnv(v string) *point {
	if v == "" {
		return nil
	}
	name, count, _ := strings.Cut(v, ":")
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	p := &point{name: name}
	p.left.Store(n)
	return p
}

// Hit marks a place. It does not return when the failpoint of that name is due.
func Hit(name string) {
	if armed == nil || armed.name != name {
		return
	}
	if armed.left.Add(-1) == 0 {
		kill()
	}
}
