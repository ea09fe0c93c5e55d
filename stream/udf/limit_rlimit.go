//go:build (linux || darwin) && !race

package udf

import "golang.org/x/sys/unix"

// limitMemory makes the system refuse memory above the limit, which ends the
// process. Go keeps itself below it as long as it can.
func limitMemory(limit uint64) error {
	const runtime = 128 << 20 // what a Go process takes for itself, with the stacks of threads where it uses cgo
	limit += runtime
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit})
}
