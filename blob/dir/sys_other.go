//go:build !unix

package dir

import "os"

// flock does nothing: these systems have no such lock, so that two processes
// with one bucket are kept apart by create alone.
func flock(*os.File) (unlock func(), err error) { return func() {}, nil }

// syncFolder does nothing: these systems do not sync folders.
func syncFolder(*os.File) error { return nil }

func isNotFolder(error) bool { return false }
