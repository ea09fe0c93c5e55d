//go:build !unix

package disk

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// Lock only makes the file: these systems have no lock that ends with its
// process however it ends, so that two processes are not kept apart.
func (osFS) Lock(name string) (io.Closer, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
}

func isNoSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }
