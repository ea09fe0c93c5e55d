package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errTaken is what tryLock answers where another process holds the lock.
var errTaken = errors.New("taken")

// lock makes the data folder and takes it for this process until the file is closed.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: making the data folder: %w: choose another with --data", err)
	}
	file := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("node: opening the data folder: %w: run weir as the user that owns it, or choose another with --data", err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if errors.Is(err, errTaken) {
			return nil, fmt.Errorf("node: the data folder %s is in use%s: stop that weir, or choose another folder with --data", dir, holder(dir))
		}
		return nil, fmt.Errorf("node: locking %s: %w", file, err)
	}
	return f, nil
}

// holder says who has the lock, if that is known.
func holder(dir string) string {
	if text, err := os.ReadFile(filepath.Join(dir, stateFile)); err == nil {
		for line := range strings.Lines(string(text)) {
			if pid, ok := strings.CutPrefix(strings.TrimSpace(line), `"pid": `); ok {
				return " by process " + strings.TrimSuffix(pid, ",")
			}
		}
	}
	return ""
}

// locked says whether a process holds the data folder dir.
func locked(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close() // which gives the lock back
	return errors.Is(tryLock(f), errTaken)
}
