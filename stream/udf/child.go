package udf

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

var errMemory = errors.New("used too much memory and was stopped")

// A child is the process of the functions, seen from outside.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	w      *bufio.Writer
	r      *bufio.Reader
	last   head // words, if it dies
	answer []byte
	ended  bool
	late   bool // ended because an answer took too long
}

func newChild(ctx context.Context, command []string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	c.cmd.Env = []string{"TZ=UTC", "GOTRACEBACK=none"}
	c.cmd.Stderr = &c.last
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.w, c.r = in, bufio.NewWriter(in), bufio.NewReader(out)
	return c, c.cmd.Start()
}

// exchange sends a frame and returns the answer, valid until the next one. After
// an error, and where the answer came at the last moment, the child has ended.
func (c *child) exchange(frame []byte, limit time.Duration) ([]byte, error) {
	timer := time.AfterFunc(limit, func() { _ = c.cmd.Process.Kill() }) // fails if it has ended
	err := writeFrame(c.w, frame)
	if err == nil {
		c.answer, err = readFrame(c.r, c.answer)
	}
	c.late = !timer.Stop()
	switch {
	case err == nil && !c.late:
		return c.answer, nil
	case err == nil:
		_ = c.end() // we killed it
		return c.answer, nil
	}
	cause := c.end()
	if c.late {
		cause = fmt.Errorf("took longer than %v and was stopped", limit)
	}
	return nil, cause
}

// end ends the child and returns why it had ended by itself, if it had.
func (c *child) end() error {
	c.ended = true
	_ = c.in.Close()         // it may be gone
	_ = c.cmd.Process.Kill() // as well
	err := c.cmd.Wait()
	words := c.last.String()
	for _, w := range noMemory {
		if strings.Contains(words, w) {
			return errMemory
		}
	}
	if said, _, _ := strings.Cut(words, "\n"); said != "" {
		return fmt.Errorf("ended its process: %s", said)
	}
	return fmt.Errorf("ended its process: %w", err)
}

// noMemory is what a Go process says to which the system refuses memory: for
// the heap, for a thread, for the collector, which takes it badly. (Our own code
// would say "[signal SIGSEGV".)
var noMemory = []string{
	"out of memory", "cannot allocate memory",
	"pthread_create failed", "failed to create new OS thread",
	"SIGSEGV: segmentation violation\nPC=",
}

// A head keeps the beginning of what is written.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	const most = 4 << 10
	h.Buffer.Write(b[:min(len(b), most-h.Len())])
	return len(b), nil
}
