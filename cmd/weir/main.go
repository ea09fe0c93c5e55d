// Command weir is the whole Azure IoT reference architecture as one program:
// see weir --help. Each command has a file of its own; what they share is in
// globals.go (flags, output) and service.go (the hub that a command talks to).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

// run is main with its exit code: 0, 1 for an error, 130 for an interrupt, what
// exitWith says.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := newRoot(&globals{stdout: os.Stdout, stderr: os.Stderr}).ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 130
	}
	fmt.Fprintln(os.Stderr, "weir: "+explain(err))
	var code exitWith
	if errors.As(err, &code) {
		return code.code
	}
	return 1
}

// exitWith is an error with an exit code of its own.
type exitWith struct {
	code int
	err  error
}

func (e exitWith) Error() string { return e.err.Error() }
func (e exitWith) Unwrap() error { return e.err }
