//go:build unix

package dir

import (
	"errors"
	"os"
	"syscall"
)

// flock waits for the lock that all processes with this bucket share.
func flock(f *os.File) (unlock func(), err error) {
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return func() { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }, err
		}
	}
}

func syncFolder(f *os.File) error { return f.Sync() }

// isNotFolder tells a name one of whose folders is a file.
func isNotFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
