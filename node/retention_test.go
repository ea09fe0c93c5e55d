package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/eventlog"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/telemetry"
)

// pour appends more than retention keeps, and fails where the log withholds the
// acknowledgements for good.
func pour(t *testing.T, log eventlog.Log) {
	t.Helper()
	for range 12 {
		done := make(chan error, 1)
		log.Append([]telemetry.Message{{DeviceID: "d", Body: make([]byte, 900<<10)}}, func(err error) { done <- err })
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("the log waits for somebody who does not need it")
		}
	}
}

func retaining(t *testing.T, hot string) *config.Config {
	t.Helper()
	c := small(t)
	c.Log.Retention.Size, c.Store.Flush = 4<<20, 50*time.Millisecond
	if hot != "" {
		file := filepath.Join(t.TempDir(), "hot.asaql")
		if err := os.WriteFile(file, []byte(hot), 0o600); err != nil {
			t.Fatal(err)
		}
		j := c.Jobs[config.HotJob]
		j.Query = file
		c.Jobs[config.HotJob] = j
	}
	return c
}

// TestHotQueryLetsGo has another query than the fast path's fill the hot store:
// the log does not wait for the consumer that does not run.
func TestHotQueryLetsGo(t *testing.T) {
	n := open(t, retaining(t, "SELECT n INTO hot FROM IoTHubInput"))
	running(t, n)
	pour(t, n.log)
}

// TestChangedJobLetsGo applies queries that fill the hot store, and then none:
// the log keeps nothing for the old ones.
func TestChangedJobLetsGo(t *testing.T) {
	n := open(t, retaining(t, ""))
	running(t, n)
	<-n.jobs.started
	for _, query := range []string{"SELECT n INTO hot FROM IoTHubInput", "SELECT n INTO AlertOutput FROM IoTHubInput"} {
		if _, err := n.jobs.Jobs.Apply(t.Context(), stream.JobConfig{Name: "j", Query: query, Settings: settingsOf(config.DefaultJob())}); err != nil {
			t.Fatal(err)
		}
	}
	pour(t, n.log)
}
