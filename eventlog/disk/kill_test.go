package disk

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/weir-iot/weir/eventlog/logtest"
	"github.com/weir-iot/weir/telemetry"
)

const killDir = "WEIR_LOG_TEST_DIR" // makes the test binary a process to kill

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForEver appends and prints the sequence number of what is acknowledged.
func appendForEver(dir string) error {
	l, err := Open(dir, Options{Partitions: 1, SegmentBytes: minSegmentBytes})
	if err != nil {
		return err
	}
	for {
		msgs := []telemetry.Message{{DeviceID: "a", Body: make([]byte, 1000)}}
		done := make(chan error, 1)
		l.Append(msgs, func(err error) { done <- err })
		if err := <-done; err != nil {
			return err
		}
		fmt.Println(msgs[0].Seq)
	}
}

// TestKill kills a real process at each named place: what it said was
// acknowledged is there, without a gap.
func TestKill(t *testing.T) {
	for _, place := range []string{"log/before-write", "log/after-write", "log/before-ack", "log/segment-roll"} {
		t.Run(strings.ReplaceAll(place, "/", " "), func(t *testing.T) {
			dir := t.TempDir()
			acked := int64(-1)
			for _, times := range []string{"1", "7", "3"} {
				acked = max(acked, runAndDie(t, dir, place+":"+times))
				l := mustOpen(t, dir, Options{})
				got := logtest.All(t, l)
				for i := range got {
					if got[i].Seq != int64(i) || len(got[i].Body) != 1000 {
						t.Fatalf("record %d has seq %d and %d bytes", i, got[i].Seq, len(got[i].Body))
					}
				}
				if int64(len(got)) <= acked {
					t.Fatalf("%d was acknowledged, %d records are there", acked, len(got))
				}
				if s := l.Stats(); s.DamagedBytes != 0 || s.DamagedRecords != 0 {
					t.Errorf("a kill counts as damage: %+v", s)
				}
				l.Close()
			}
			if acked < 3 {
				t.Errorf("only %d was acknowledged", acked)
			}
		})
	}
}

func runAndDie(t *testing.T, dir, failpoint string) (acked int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, exe)
	c.Env = append(os.Environ(), killDir+"="+dir, "WEIR_FAILPOINT="+failpoint)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	acked = -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscan(lines.Text(), &acked); err != nil {
			t.Errorf("the process says %q", lines.Text())
		}
	}
	if err := c.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the process ended with %v, want it killed at %s", err, failpoint)
	}
	return acked
}
