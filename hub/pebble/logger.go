package pebble

import (
	"fmt"
	"log/slog"
	"os"
)

// logger hands Pebble's own messages to slog.
type logger struct{ to *slog.Logger }

func (l logger) Infof(format string, args ...any) {
	l.to.Debug("registry: " + fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.to.Error("registry: " + fmt.Sprintf(format, args...))
}

// Fatalf is called when the write-ahead log cannot be written or synced. It
// must not return: what is on the disk is unknown, so the process stops and
// the next start recovers what was acknowledged.
func (l logger) Fatalf(format string, args ...any) {
	l.to.Error("registry: stopping after an I/O error: check the disk, then restart: " + fmt.Sprintf(format, args...))
	os.Exit(1)
}
