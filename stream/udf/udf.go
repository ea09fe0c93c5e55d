// Package udf runs the JavaScript functions that queries call as udf.name(…).
//
// They run in a child process, this program executed anew, which has a limit of
// memory, and of time for each call. A function that exceeds one is stopped with
// its process; the call fails, the next one has a new process. An interpreter
// inside this process would be no sandbox: a regular expression can run for
// ever, and one call of JSON.parse can take gigabytes, without a place to stop.
//
// Functions are stateless: what a script keeps in variables is lost with the
// process. They have no files, network or clock other than Date, in UTC; one
// that uses Date.now or Math.random does not give the same rows when replayed,
// as on Azure. User-defined aggregates are not supported.
package udf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// Argument makes the executable call Main.
const Argument = "javascript"

// Options say what to run, and in which bounds.
type Options struct {
	// Functions are scripts by the name that queries give after "udf.", in any
	// case. A script is called by its function main, the one that is called as
	// the script is, or its only one.
	Functions map[string]string
	Time      time.Duration // of one call, at most; 0: 5 seconds
	Memory    int64         // bytes of the process, about, at most; 0: 128 MiB
	Command   []string      // program and arguments that call Main; nil: this one with Argument
}

// A Runner calls the functions, one at a time; it is safe for concurrent use.
type Runner struct {
	ctx     context.Context
	options Options
	names   []string       // sorted
	index   map[string]int // by name in lower case

	mu      sync.Mutex
	closed  bool
	child   *child // nil: the next call starts one
	request []byte // reused
}

// Start starts a process and loads the functions, until ctx ends. An error says
// which script is wrong, and where.
func Start(ctx context.Context, o Options) (*Runner, error) {
	if o.Time == 0 {
		o.Time = 5 * time.Second
	}
	if o.Memory == 0 {
		o.Memory = 128 << 20
	}
	if o.Command == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("udf: finding this program: %w", err)
		}
		o.Command = []string{self, Argument}
	}
	r := &Runner{ctx: ctx, options: o, names: slices.Sorted(maps.Keys(o.Functions)), index: make(map[string]int)}
	for i, name := range r.names {
		lower := strings.ToLower(name)
		if other, ok := r.index[lower]; ok {
			return nil, fmt.Errorf("udf: functions %s and %s differ in case only", r.names[other], name)
		}
		r.index[lower] = i
	}
	if err := r.start(); err != nil {
		return nil, err
	}
	return r, nil
}

// Close ends the process. Calls fail from now on.
func (r *Runner) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.stop()
	return nil
}

func (r *Runner) stop() {
	if r.child != nil {
		_ = r.child.end() // it ends because we say so
		r.child = nil
	}
}

// Has tells whether there is a function of that name, in any case.
func (r *Runner) Has(name string) bool {
	_, ok := r.lookup(name)
	return ok
}

// Function returns the function of that name, nil if there is none.
func (r *Runner) Function(name string) func(args []saql.Value) (saql.Value, error) {
	i, ok := r.lookup(name)
	if !ok {
		return nil
	}
	return func(args []saql.Value) (saql.Value, error) { return r.call(i, args) }
}

// Call calls a function. An error tells what it threw, which limit it exceeded
// or what it returned that has no type in a query; the next call is unharmed.
func (r *Runner) Call(name string, args []saql.Value) (saql.Value, error) {
	i, ok := r.lookup(name)
	if !ok {
		return saql.Null, fmt.Errorf("udf: there is no function %s", name)
	}
	return r.call(i, args)
}

func (r *Runner) lookup(name string) (int, bool) {
	i, ok := r.index[strings.ToLower(name)]
	return i, ok
}

var errClosed = errors.New("udf: the functions are stopped")

func (r *Runner) call(i int, args []saql.Value) (saql.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return saql.Null, errClosed
	}
	r.request = appendCall(r.request[:0], i, args)
	if len(r.request) > maxFrame {
		return saql.Null, fmt.Errorf("udf.%s: the arguments are larger than %d bytes", r.names[i], maxFrame)
	}
	v, died, err := r.try(r.request)
	if died {
		// Of what earlier calls left behind, perhaps: this one gets a process of its own.
		v, _, err = r.try(r.request)
	}
	if err != nil {
		return saql.Null, fmt.Errorf("udf.%s: %w", r.names[i], err)
	}
	return v, nil
}

// try sends a call, to a new process where there is none, and tells whether the
// process died, other than by the limit of time.
func (r *Runner) try(call []byte) (v saql.Value, died bool, err error) {
	if r.child == nil {
		if err := r.start(); err != nil {
			return saql.Null, false, err
		}
	}
	c := r.child
	v, err = r.exchange(call, r.options.Time)
	return v, err != nil && c.ended && !c.late, err
}

// loading is the time to start a process and load the scripts.
const loading = 10 * time.Second

// start starts a process and gives it the scripts.
func (r *Runner) start() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	c, err := newChild(r.ctx, r.options.Command)
	if err != nil {
		return fmt.Errorf("udf: starting the process of functions: %w", err)
	}
	r.child = c
	setup := binary.AppendUvarint(nil, uint64(r.options.Memory))
	setup = binary.AppendUvarint(setup, uint64(r.options.Time))
	for _, name := range r.names {
		setup = appendText(setup, name)
		setup = appendText(setup, r.options.Functions[name])
	}
	if _, err := r.exchange(setup, loading); err != nil {
		r.stop()
		return fmt.Errorf("udf: loading the functions: %w", err)
	}
	return nil
}

// exchange sends a frame and returns what the answer holds.
func (r *Runner) exchange(frame []byte, limit time.Duration) (saql.Value, error) {
	answer, err := r.child.exchange(frame, limit)
	if r.child.ended {
		r.child = nil
	}
	if err != nil {
		if ctxErr := r.ctx.Err(); ctxErr != nil {
			return saql.Null, ctxErr
		}
		return saql.Null, err
	}
	return readAnswer(answer)
}

var (
	_ stream.Functions = (*Runner)(nil)
	_ io.Closer        = (*Runner)(nil)
)
