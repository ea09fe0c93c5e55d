package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-iot/weir/internal/need"
)

// A disk is an ext4 file system in a file, which can lose power.
type disk struct {
	image, dir string
}

// newDisk makes and mounts one; it needs root and loop devices.
func newDisk(t *testing.T, megabytes int) *disk {
	t.Helper()
	d := &disk{image: filepath.Join(t.TempDir(), "disk.img"), dir: filepath.Join(t.TempDir(), "mnt")}
	need.That(t, os.Geteuid() == 0, "root, to mount a file system that loses power")
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, int64(megabytes)<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput()
	need.That(t, err == nil, fmt.Sprintf("mkfs.ext4 (%v %s)", err, out))
	err = d.mount()
	need.That(t, err == nil, fmt.Sprintf("loop devices (%v)", err))
	t.Cleanup(func() { _ = d.unmount() })
	return d
}

func (d *disk) mount() error {
	out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", d.image, d.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	return nil
}

func (d *disk) unmount() error { return exec.Command("umount", d.dir).Run() }

// cut takes the power away: nothing that is not on the disk reaches it any
// more, the journal's tail included (FS_IOC_SHUTDOWN, NOLOGFLUSH).
func (d *disk) cut() error {
	const fsIocShutdown, noLogFlush = 0x8004587d, 2
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flag := uint32(noLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fsIocShutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		return errno
	}
	return nil
}

// readOnly makes the file system find itself damaged, upon which Linux remounts
// it read-only under the running node.
func (d *disk) readOnly() error {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		device, rest, _ := strings.Cut(line, " ")
		if dir, _, _ := strings.Cut(rest, " "); dir == d.dir {
			return os.WriteFile("/sys/fs/ext4/"+filepath.Base(device)+"/trigger_fs_error", []byte("1"), 0)
		}
	}
	return fmt.Errorf("%s is not mounted", d.dir)
}

// powerCycle sends for a while, cuts the power, and brings the disk back.
func (l *ledger) powerCycle(t *testing.T, n *node, d *disk, after time.Duration) {
	t.Helper()
	var cut atomic.Bool
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { l.send(t, n, stop, &cut) })
	select {
	case <-time.After(after):
	case err := <-n.exited:
		t.Fatalf("weir ended by itself (%v):\n%s", err, n.logText())
	}
	cut.Store(true)
	if err := d.cut(); err != nil {
		t.Fatalf("cutting the power: %v", err)
	}
	n.kill()
	close(stop)
	wg.Wait()
	if err := d.unmount(); err != nil {
		t.Fatal(err)
	}
	if err := d.mount(); err != nil {
		t.Fatal(err)
	}
}

func TestTorturePowerCut(t *testing.T) {
	r := random(t)
	d := newDisk(t, 512)
	n := tortured(t, filepath.Join(d.dir, "data"), busy)
	n.start(t)
	l := newLedger(t, n, 8)
	for i := range *cuts {
		if i > 0 {
			n.start(t)
		}
		l.powerCycle(t, n, d, time.Duration(100+r.IntN(400))*time.Millisecond)
		if i%5 != 4 && i != *cuts-1 {
			continue
		}
		n.start(t)
		l.mustHold(t, n, fmt.Sprintf("cut %d", i+1))
		n.kill()
	}
	if l.acked.Load() < int64(100**cuts) {
		t.Errorf("only %d messages were acknowledged: this run proves little", l.acked.Load())
	}
}

// TestTortureBites shows that the harness finds loss where there is some: at
// the level interval a power cut takes what was acknowledged and not synced.
func TestTortureBites(t *testing.T) {
	d := newDisk(t, 256)
	n := tortured(t, filepath.Join(d.dir, "data"), "log: { segment: 1MB, level: interval, interval: 1s }\n")
	n.start(t)
	l := newLedger(t, n, 4)
	for range 3 {
		l.powerCycle(t, n, d, 700*time.Millisecond)
		n.start(t)
		lost := 0
		for _, dev := range l.devices {
			lost += dev.missing(n.caughtUp(t, dev.id))
		}
		t.Logf("level interval: %d acknowledged, %d lost", l.acked.Load(), lost)
		if lost > 0 {
			n.kill()
			return
		}
	}
	n.kill()
	t.Error("three power cuts at the level interval lost nothing: the harness proves nothing")
}

// caughtUp returns a device's rows once the hot store is level with the log.
func (n *node) caughtUp(t *testing.T, id string) []int {
	t.Helper()
	eventually(t, "the hot store is level with the log", func() error {
		h, err := n.health()
		for _, c := range h.Details.Consumers {
			if c.Lag > 0 {
				err = fmt.Errorf("%s is %d records behind", c.Name, c.Lag)
			}
		}
		return err
	})
	return n.numbers(t, id)
}

// TestTortureDiskFull fills the disk while devices send: acknowledgements stop,
// the node says why, and it goes on by itself once there is space.
func TestTortureDiskFull(t *testing.T) {
	d := newDisk(t, 256)
	ballast := filepath.Join(d.dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 200<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	n := tortured(t, filepath.Join(d.dir, "data"), busy)
	n.start(t)
	l := newLedger(t, n, 4)
	var cut atomic.Bool
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { l.send(t, n, stop, &cut) })
	eventually(t, "the node says that the disk is full", func() error {
		h, err := n.health()
		if !strings.Contains(strings.Join(h.Details.Problems, " "), "space") {
			return fmt.Errorf("it says %q (%v)", h.Details.Problems, err)
		}
		return nil
	})
	// Fill what the log left, so that the registry meets the full disk too.
	rest, err := os.Create(filepath.Join(d.dir, "rest"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 64<<10); err == nil; {
		_, err = rest.Write(block)
	}
	rest.Close()
	registered := make(chan struct{})
	wg.Go(func() {
		defer close(registered)
		out, err := exec.Command(n.bin, "device", "create", "late", "--data", n.data).CombinedOutput()
		t.Logf("registered meanwhile: %s (%v)", out, err) // it may wait or be refused; the node must live on
	})
	time.Sleep(6 * time.Second) // longer than the hub keeps activity in memory
	if _, err := n.health(); err != nil {
		t.Fatalf("the node did not outlive a full disk: %v\n%s", err, n.logText())
	}
	full := l.sent.Load()
	for _, name := range []string{ballast, rest.Name()} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	<-registered
	eventually(t, "the log goes on by itself", func() error {
		if sent := l.sent.Load(); sent <= full+8*window { // beyond what was in flight
			return fmt.Errorf("%d messages sent, %d when the disk was full", sent, full)
		}
		_, err := n.get("/readyz")
		return err
	})
	close(stop)
	wg.Wait()
	l.mustHold(t, n, "after the full disk")
	n.kill()
}

// TestTortureDiskDies takes the disk away for good: nothing is acknowledged
// after that, and the node says so.
func TestTortureDiskDies(t *testing.T) {
	t.Run("EIO", func(t *testing.T) { diskDies(t, (*disk).cut) })
	t.Run("read-only", func(t *testing.T) { diskDies(t, (*disk).readOnly) })
}

func diskDies(t *testing.T, die func(*disk) error) {
	d := newDisk(t, 256)
	n := tortured(t, filepath.Join(d.dir, "data"), busy)
	n.start(t)
	l := newLedger(t, n, 4)
	var cut atomic.Bool
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { l.send(t, n, stop, &cut) })
	time.Sleep(300 * time.Millisecond) // some traffic first; any length will do
	cut.Store(true)
	if err := die(d); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log has stopped for good", func() error {
		if text := n.logText(); !strings.Contains(string(text), "stopped for good") {
			return fmt.Errorf("weir says:\n%s", text)
		}
		return nil
	})
	cut.Store(false) // from here on an acknowledgement is a lie
	before := l.acked.Load()
	select { // a second in which devices try
	case <-time.After(time.Second):
	case err := <-n.exited:
		n.exited <- err
	}
	n.kill()
	close(stop)
	wg.Wait()
	if after := l.acked.Load(); after != before {
		t.Errorf("%d messages were acknowledged after the disk died", after-before)
	}
	if !strings.Contains(string(n.logText()), "stopped for good") {
		t.Errorf("weir did not say that its log stopped:\n%s", n.logText())
	}
	if err := d.unmount(); err != nil {
		t.Fatal(err)
	}
	if err := d.mount(); err != nil {
		t.Fatal(err)
	}
	n.start(t)
	l.mustHold(t, n, "after the disk died")
	n.kill()
}

// health is the part of /healthz that the torture tests look at.
type health struct {
	Details struct {
		Problems  []string
		Consumers []struct {
			Name string
			Lag  int64
		}
	}
}

// health asks for it; an answer of 503 has one too.
func (n *node) health() (h health, err error) {
	body, _, err := n.request("/healthz")
	if len(body) > 0 {
		err = json.Unmarshal(body, &h)
	}
	return h, err
}
