package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/fleet"
)

// The exit code of weir sim is what a script sees: loss and refusals are errors,
// and the result is printed all the same.
func TestSimReport(t *testing.T) {
	for name, c := range map[string]struct {
		report fleet.Report
		want   string // "": no error
	}{
		"all acknowledged": {fleet.Report{Sent: 5, Acked: 5}, ""},
		"lost":             {fleet.Report{Sent: 5, Acked: 3, Lost: 2}, "2 messages were never acknowledged"},
		"refused":          {fleet.Report{Sent: 5, Acked: 4, Errors: 1, Err: errors.New("too large")}, "1 errors, 0 messages lost; the first: too large"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			g := &globals{json: true, stdout: &out}
			c.report.Latency = new(fleet.Histogram)
			c.report.Latency.Record(1500 * time.Microsecond)
			err := g.simReport(&c.report)
			if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if !strings.Contains(out.String(), `"max":1.5}`) {
				t.Errorf("printed %s, want milliseconds", out.String())
			}
		})
	}
}
