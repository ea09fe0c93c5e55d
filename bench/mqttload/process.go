package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux port.
const tick = 10 * time.Millisecond

// cpuTime is what a process has used so far, in user and kernel mode.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("-pid: %w", err)
	}
	// The name in parentheses may hold anything: fields count from behind it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const utime, stime = 11, 12 // 14 and 15 of proc(5)
	if len(fields) <= stime {
		return 0, fmt.Errorf("-pid: /proc/%d/stat is not understood", pid)
	}
	user, err := strconv.ParseInt(string(fields[utime]), 10, 64)
	if err != nil {
		return 0, err
	}
	kernel, err := strconv.ParseInt(string(fields[stime]), 10, 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(user+kernel) * tick, nil
}

// rss is the resident memory of a process in bytes.
func rss(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("-pid: %w", err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("-pid: /proc/%d/status has no VmRSS", pid)
}

// watchRSS follows a process's memory; stop returns the most that was seen.
func watchRSS(pid int) (stop func() int64) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	var most int64
	wg.Go(func() {
		for {
			if n, err := rss(pid); err == nil {
				most = max(most, n)
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() int64 { close(done); wg.Wait(); return most }
}
