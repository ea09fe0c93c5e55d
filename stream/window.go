package stream

import (
	"fmt"

	"github.com/weir-iot/weir/saql"
)

// windowText describes a window for Explain and Fingerprint.
func windowText(w saql.Window) string {
	switch w.Kind {
	case saql.WindowTumbling:
		return "tumbling window of " + duration(w.Size) + offsetText(w)
	case saql.WindowHopping:
		return "hopping window of " + duration(w.Size) + " every " + duration(w.Hop) + offsetText(w)
	case saql.WindowSliding:
		return "sliding window of " + duration(w.Size)
	case saql.WindowSession:
		return "session window of timeout " + duration(w.Timeout) + ", at most " + duration(w.MaxDuration)
	default:
		return "snapshot window"
	}
}

func offsetText(w saql.Window) string {
	if w.Offset == 0 {
		return ""
	}
	return " with offset " + duration(w.Offset)
}

// duration writes ticks in the coarsest unit that needs no fraction.
func duration(t saql.Ticks) string {
	for _, u := range []saql.Unit{saql.UnitDay, saql.UnitHour, saql.UnitMinute, saql.UnitSecond, saql.UnitMillisecond, saql.UnitMicrosecond} {
		if t%u.Ticks() == 0 {
			return fmt.Sprintf("%d %s", t/u.Ticks(), u)
		}
	}
	return fmt.Sprintf("%d ticks", t)
}

// windowReach is how old a row of a window may be when the window ends.
func windowReach(w saql.Window) saql.Ticks {
	if w.Kind == saql.WindowSession {
		return w.Timeout + 2*w.MaxDuration
	}
	return w.Size
}
