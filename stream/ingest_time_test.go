package stream

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/saql"
)

// TestPolicy places the events of each file of testdata/policy in order.
func TestPolicy(t *testing.T) {
	files, _ := filepath.Glob("testdata/policy/*.txt")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var line *timeline
			for n, row := range strings.Split(string(text), "\n") {
				fields := strings.Fields(row)
				switch {
				case len(fields) == 0 || fields[0] == "#":
				case fields[0] == "policy":
					line = policyOf(t, fields[1:])
				default:
					if got, want := placed(t, line, fields), strings.Join(fields, " "); got != want {
						t.Errorf("line %d:\n got %s\nwant %s", n+1, got, want)
					}
				}
			}
		})
	}
}

func policyOf(t *testing.T, words []string) *timeline {
	t.Helper()
	p, own, over := Policy{}, true, false
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "late":
			p.Late, err = time.ParseDuration(value)
		case "outOfOrder":
			p.OutOfOrder, err = time.ParseDuration(value)
		case "drop":
			p.Drop = true
		case "over":
			over = true
		case "arrival":
			own = false
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	line := newTimeline(own, over, p)
	return &line
}

// placed gives back the row as it comes out.
func placed(t *testing.T, line *timeline, fields []string) string {
	t.Helper()
	clock := func(s string) saql.Ticks {
		at, err := time.Parse(time.DateTime, "2026-01-01 "+s)
		if err != nil {
			t.Fatal(err)
		}
		return saql.TicksOf(at)
	}
	show := func(at saql.Ticks) string {
		if at <= 0 {
			return "-"
		}
		return at.Time().Format(time.TimeOnly)
	}
	stream := ""
	if len(fields) > 5 {
		stream = fields[5]
	}
	at, v, dropped := line.place(clock(fields[0]), clock(fields[1]), []byte(stream))
	if dropped {
		at = 0
	}
	out := fmt.Sprintf("%s %s %s %s %s %s", fields[0], fields[1], show(at), strings.ReplaceAll(v.String(), " ", "-"), show(line.mark), stream)
	return strings.TrimSpace(out)
}

// TestThrough moves the watermark of an idle partition by the late tolerance,
// and never back.
func TestThrough(t *testing.T) {
	at := func(s int) saql.Ticks { return saql.TicksOf(time.Unix(int64(s), 0)) }
	line := newTimeline(true, false, Policy{Late: 5 * time.Second})
	line.place(at(100), at(100), nil)
	for _, c := range []struct{ through, mark int }{{100, 100}, {104, 100}, {107, 102}, {106, 102}} {
		if line.through(at(c.through)); line.mark != at(c.mark) {
			t.Errorf("through %d: the watermark is %s", c.through, line.mark)
		}
	}
	// The oldest that can come now is not before it.
	if got, _, _ := line.place(at(90), at(107), nil); got != line.mark {
		t.Errorf("a late event is placed at %s, the watermark is %s", got, line.mark)
	}
}

// TestSubstreamsForget has many devices come and go: what is kept is bounded by
// those that can still matter, and forgetting changes nothing.
func TestSubstreamsForget(t *testing.T) {
	p := Policy{Late: 10 * time.Second, OutOfOrder: 2 * time.Second}
	line, all := newTimeline(true, true, p), newTimeline(true, true, p)
	all.streams.sweep = 1 << 30
	for i := range 200000 {
		arrival := saql.TicksOf(time.Unix(int64(i/100), 0))
		own := arrival - saql.Ticks(i%17)*10_000_000
		device := fmt.Appendf(nil, "d%d", i/40-i%7)
		a, va, _ := line.place(own, arrival, device)
		b, vb, _ := all.place(own, arrival, device)
		if a != b || va != vb {
			t.Fatalf("event %d is placed at %s (%s), without forgetting at %s (%s)", i, a, va, b, vb)
		}
	}
	if n := len(line.streams.newest); n > 2*minSweep {
		t.Errorf("%d substreams are kept", n)
	}
}
