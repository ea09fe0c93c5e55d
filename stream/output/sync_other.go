//go:build !unix

package output

// syncFolder does nothing: these systems do not sync folders.
func syncFolder(string) error { return nil }
