package solution

import (
	"os"
	"path/filepath"
	"testing"
)

// Files that a user changed stay; those that are missing are made.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "jobs", "threshold.asaql")
	if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths, err := Write(dir)
	if err != nil || len(paths) != len(names) {
		t.Fatal(paths, err)
	}
	if text, err := os.ReadFile(paths["threshold"]); err != nil || string(text) != "mine" {
		t.Errorf("the user's file has %q, %v", text, err)
	}
	if text, err := os.ReadFile(paths["hot"]); err != nil || string(text) != Hot {
		t.Errorf("hot has %q, %v", text, err)
	}
}
