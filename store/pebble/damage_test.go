package pebble_test

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-iot/weir/store"
	"github.com/weir-iot/weir/store/pebble"
	"github.com/weir-iot/weir/store/storetest"
)

const damagedDir = "WEIR_DAMAGED_DIR"

// TestDamagedTable: a store whose disk gives back other bytes than were written
// ends the process with what to do in place of a stack trace: the log has what
// the store lacks.
func TestDamagedTable(t *testing.T) {
	if dir := os.Getenv(damagedDir); dir != "" {
		readDamaged(t, dir)
		return
	}
	dir := t.TempDir()
	s, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Upsert(t.Context(), []store.Document{storetest.Doc("d", "1", storetest.Start, `{"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Flush(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, name := range tables {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range text[:len(text)/2] {
			text[i] ^= 0x55
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDamagedTable$")
	cmd.Env = append(os.Environ(), damagedDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "move its folder away") || strings.Contains(string(out), "goroutine ") {
		t.Errorf("%v\n%s", err, out)
	}
}

// readDamaged opens and reads the store of dir in a process of its own.
func readDamaged(t *testing.T, dir string) {
	s, err := pebble.Open(dir, pebble.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		t.Skipf("refused at the start: %v", err)
	}
	for range s.Read(t.Context(), store.Range{DeviceID: "d"}) {
	}
	t.Skip("nothing was noticed")
}
