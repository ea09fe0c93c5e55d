//go:build linux

// Command synclat measures what a durable write costs on a disk: it appends
// 4 KiB to a preallocated file and calls fdatasync, one after the other, as a
// log with one committer does. The figure stands beside every figure of a
// durable system. It leaves out concurrency.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	dir := flag.String("dir", ".", "folder on the disk to measure")
	n := flag.Int("n", 2000, "writes")
	flag.Parse()
	if err := run(*dir, *n); err != nil {
		fmt.Fprintln(os.Stderr, "synclat:", err)
		os.Exit(1)
	}
}

func run(dir string, n int) error {
	f, err := os.Create(filepath.Join(dir, "synclat.tmp"))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	if err := f.Truncate(0); err != nil {
		return err
	}
	for range n { // written once, so that the measured writes change no metadata
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	took := make([]time.Duration, n)
	for i := range took {
		block[0] = byte(i)
		begin := time.Now()
		if _, err := f.WriteAt(block, int64(i)*int64(len(block))); err != nil {
			return err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return err
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	_, err = fmt.Printf("4 KiB write + fdatasync in %s: p50 %.3f ms  p99 %.3f ms  max %.1f ms\n", dir,
		ms(took[n/2]), ms(took[n*99/100]), ms(took[n-1]))
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
