package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/solution"
)

// jobFailpoints are the places where a job kills the node; "" is a kill at a
// random moment.
var jobFailpoints = []string{"", "job/after-write", "job/checkpoint", "job/before-swap", "job/after-swap"}

// An alert is what GET /alerts and weir alerts --json show.
type alert struct {
	ID, Job string
	Time    time.Time
	Row     json.RawMessage
}

// line is an alert without its id, as a replay gives it too.
func line(job string, at time.Time, row json.RawMessage) string {
	return fmt.Sprintf("%s %s %s", job, at.UTC().Format(time.RFC3339Nano), row)
}

// TestTortureAlerts kills the real process again and again while devices send,
// and holds the alerts against an undisturbed run of the same queries over the
// same log: each is there once.
func TestTortureAlerts(t *testing.T) {
	r := random(t)
	dir := t.TempDir()
	queries, err := solution.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	jobs := []string{"anomaly", "threshold"}
	text := busy + "jobs:\n"
	for _, job := range jobs {
		text += fmt.Sprintf("  %s: { query: %q, from: oldest }\n", job, queries[job])
	}
	n := tortured(t, t.TempDir(), text)
	n.start(t)
	l := newLedger(t, n, 8)
	l.body = reading
	n.kill()
	reached := map[string]int{}
	for round := range max(*rounds/5, len(jobFailpoints)) {
		point := jobFailpoints[round%len(jobFailpoints)]
		n.env = nil
		if point != "" {
			n.env = []string{fmt.Sprintf("WEIR_FAILPOINT=%s:%d", point, 1+r.IntN(6))}
		}
		n.spawn(t)
		if !n.waitReady() || l.round(t, n, time.Duration(50+r.IntN(500))*time.Millisecond, point != "") {
			reached[point]++
		}
		<-n.exited
	}
	n.env = nil
	n.start(t)
	defer n.stop(t)
	l.mustHold(t, n, "after all kills")
	total := 0
	for _, job := range jobs {
		want := n.undisturbed(t, job, queries[job])
		var got []string
		eventually(t, "the alerts of "+job+" are there", func() error {
			got = n.alerts(t, job)
			if len(got) < len(want) {
				return fmt.Errorf("%d alerts of %d", len(got), len(want))
			}
			return nil
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d alerts, %d of an undisturbed run; first difference: %s", job, len(got), len(want), difference(got, want))
		}
		total += len(want)
	}
	if out := n.weir(t, "alerts", "--since", "24h", "--limit", "100000000"); bytes.Count(out, []byte("\n")) != total {
		t.Errorf("weir alerts prints %d lines, want %d", bytes.Count(out, []byte("\n")), total)
	}
	t.Logf("%d acknowledged, %d alerts, each once; failpoints reached: %v", l.acked.Load(), total, reached)
	for _, point := range jobFailpoints[1:] {
		if reached[point] == 0 {
			t.Errorf("failpoint %s was never reached: this run proves nothing about it", point)
		}
	}
	if total < 100 {
		t.Errorf("only %d alerts: this run proves little", total)
	}
}

// reading is message n of a device: a temperature that swings, with a spike now
// and then.
func reading(device string, n int) string {
	at := rand.New(rand.NewPCG(uint64(n), uint64(len(device))+uint64(device[len(device)-1])))
	temperature := 22 + at.Float64()
	if at.IntN(50) == 0 {
		temperature += 12
	}
	return fmt.Sprintf(`{"deviceId":%q,"n":%d,"temperature":%.2f}`, device, n, temperature)
}

// undisturbed runs a query over the whole log, and returns its rows in order.
func (n *node) undisturbed(t *testing.T, job, query string) []string {
	t.Helper()
	var all []string
	for text := range bytes.Lines(n.weir(t, "query", query, "--replay", "24h")) {
		var row struct {
			Time time.Time
			Row  json.RawMessage
		}
		if err := json.Unmarshal(text, &row); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, line(job, row.Time, row.Row))
	}
	slices.Sort(all)
	return all
}

// alerts returns the alerts of a job in order, page by page; an id that comes
// twice is an error.
func (n *node) alerts(t *testing.T, job string) []string {
	t.Helper()
	var all []string
	ids := map[string]bool{}
	for path := "/alerts?limit=1000&job=" + job; path != ""; {
		body, next, err := n.page(path)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Alerts []alert }
		if err := json.Unmarshal(body, &answer); err != nil {
			t.Fatal(err)
		}
		for _, a := range answer.Alerts {
			if ids[a.ID] {
				t.Fatalf("the alert %s is listed twice", a.ID)
			}
			ids[a.ID] = true
			all = append(all, line(a.Job, a.Time, a.Row))
		}
		path = next
	}
	slices.Sort(all)
	return all
}

// difference is the first line that one of two sorted lists lacks.
func difference(got, want []string) string {
	for i := range want {
		if i == len(got) || got[i] != want[i] {
			return fmt.Sprintf("want %s, got %s", want[i], strings.Join(got[min(i, len(got)):min(i+1, len(got))], ""))
		}
	}
	return "more: " + strings.Join(got[len(want):min(len(want)+1, len(got))], "")
}

// TestDevRaisesAlerts: weir dev shows an anomaly by the article's own query and a
// reading above 30 °C within its first minute, by the API and on the command line.
func TestDevRaisesAlerts(t *testing.T) {
	n := elsewhere(t)
	n.log = filepath.Join(t.TempDir(), "weir.log")
	log, err := os.Create(n.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	n.cmd = exec.Command(n.bin, append([]string{"dev", "--machines", "4", "--data", n.data}, n.args...)...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.exited = make(chan error, 1)
	go func() { n.exited <- n.cmd.Wait() }()
	defer n.stop(t)
	begun := time.Now()
	for _, job := range []string{"anomaly", "threshold"} {
		for deadline := begun.Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			body, err := n.get("/alerts?job=" + job)
			if err == nil && bytes.Contains(body, []byte(`"job":"`+job+`"`)) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no alert of %s in a minute: %s, %v\n%s", job, body, err, n.logText())
			}
		}
	}
	t.Logf("alerts of both jobs after %s", time.Since(begun).Round(time.Second))
	var follow alert
	if err := json.Unmarshal(n.weir(t, "alerts", "--follow", "--since", "1h", "--limit", "1"), &follow); err != nil || follow.ID == "" || len(follow.Row) == 0 {
		t.Errorf("weir alerts --follow prints %+v, %v", follow, err)
	}
}
