package stream

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/weir-iot/weir/saql"
)

// compileText compiles a query that reads any input.
func compileText(t testing.TB, query string) *Program {
	t.Helper()
	script, err := saql.Parse(query)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(script, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestInputColumns checks that a program asks for no more than it reads.
func TestInputColumns(t *testing.T) {
	tests := []struct{ query, want string }{
		{"SELECT a FROM i", "a"},
		{"SELECT a, A.b.c, i.a + 1 FROM i WHERE d > 1", "d a A.b.c"},
		{"SELECT * FROM i", "*"},
		{"WITH s AS (SELECT * FROM i) SELECT x.y FROM s", "x.y"},
		{"WITH s AS (SELECT *, r.* FROM i) SELECT i.* FROM s AS i", "* r"},
		{"SELECT partitionid, IoTHub.ConnectionDeviceId FROM i", "partitionid@PartitionId IoTHub.ConnectionDeviceId@IoTHub.ConnectionDeviceId"},
		{"SELECT GetMetadataPropertyValue(i, '[User].[a.b]') FROM i", "@User.a.b"},
		{"WITH unread AS (SELECT z FROM j) SELECT a FROM i TIMESTAMP BY t", "t a"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			var got []string
			for _, in := range compileText(t, tt.query).Inputs() {
				for _, c := range in.Columns {
					s := strings.Join(c.Path, ".")
					if len(c.Path)+len(c.Metadata) == 0 {
						s = "*"
					}
					if c.Metadata != nil {
						s += "@" + strings.Join(c.Metadata, ".")
					}
					got = append(got, s)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProcess(t *testing.T) {
	p := compileText(t, "WITH s AS (SELECT a + 1 AS b, c FROM i WHERE a > 1) SELECT b * 2 AS b, c.d INTO x FROM s SELECT c INTO y FROM s WHERE b = 4")
	in := p.New(func(e *RowError) error { t.Errorf("%v: %v", e.At, e); return nil })
	var got []string
	sink := func(output int, row *saql.Row) error {
		got = append(got, fmt.Sprint(p.Outputs()[output].Name, " ", len(row.Values), row.Values[0].Bigint()))
		return nil
	}
	for i := range int64(5) {
		rec := saql.RecordValue(&saql.Record{Fields: []saql.Field{{Name: "d", Value: saql.Bigint(i)}}})
		if err := in.Process(0, &saql.Row{Values: []saql.Value{saql.Bigint(i), rec}}, sink); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"x 2 6", "x 2 8", "y 1 0", "x 2 10"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestFingerprint compares programs with the one of the first query.
func TestFingerprint(t *testing.T) {
	const query = "SELECT k, AVG(x) AS avg INTO o FROM i TIMESTAMP BY t WHERE x > 1 GROUP BY k, TumblingWindow(second, 10) HAVING AVG(x) > 30"
	tests := []struct {
		name, query string
		same        bool
	}{
		{"HAVING, columns", "SELECT K, AVG(X) AS mean, 1 AS one INTO o FROM i TIMESTAMP BY t WHERE x > 1 GROUP BY k, TumblingWindow(second, 10) HAVING AVG(x) > 40", true},
		{"spelling", "select k, avg(x) as avg into o from i timestamp by t where x > 1 group by tumbling(duration(second, 10)), k", true},
		{"WHERE", "SELECT k, AVG(x) AS avg INTO o FROM i TIMESTAMP BY t WHERE x > 2 GROUP BY k, TumblingWindow(second, 10)", false},
		{"window", "SELECT k, AVG(x) AS avg INTO o FROM i TIMESTAMP BY t WHERE x > 1 GROUP BY k, TumblingWindow(second, 11)", false},
		{"key", "SELECT AVG(x) AS avg INTO o FROM i TIMESTAMP BY t WHERE x > 1 GROUP BY TumblingWindow(second, 10)", false},
		{"aggregate", "SELECT k, AVG(x) AS avg, MAX(x) AS max INTO o FROM i TIMESTAMP BY t WHERE x > 1 GROUP BY k, TumblingWindow(second, 10)", false},
		{"time", "SELECT k, AVG(x) AS avg INTO o FROM i TIMESTAMP BY u WHERE x > 1 GROUP BY k, TumblingWindow(second, 10)", false},
		{"output", "SELECT k, AVG(x) AS avg INTO p FROM i TIMESTAMP BY t WHERE x > 1 GROUP BY k, TumblingWindow(second, 10)", false},
		{"input", "SELECT k, AVG(x) AS avg INTO o FROM j TIMESTAMP BY t WHERE x > 1 GROUP BY k, TumblingWindow(second, 10)", false},
	}
	want := compileText(t, query).Fingerprint()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compileText(t, tt.query).Fingerprint(); (got == want) != tt.same {
				t.Errorf("same: %t", got == want)
			}
		})
	}
}

func TestReachAndSharding(t *testing.T) {
	tests := []struct {
		query                     string
		reach                     string
		perPartition, passThrough bool
	}{
		{"SELECT * INTO o FROM i", "0 day", true, true},
		{"SELECT * INTO o FROM i TIMESTAMP BY t", "0 day", true, false},
		{"SELECT * INTO o FROM i WHERE a = 1", "0 day", true, false},
		{"SELECT a FROM i", "0 day", true, false},
		{"SELECT COUNT(*) AS n FROM i GROUP BY TumblingWindow(minute, 5)", "5 minute", false, false},
		{"SELECT PartitionId AS p, COUNT(*) AS n FROM i GROUP BY i.partitionid, HoppingWindow(minute, 5, 1)", "5 minute", true, false},
		{"WITH s AS (SELECT *, PartitionId AS p FROM i) SELECT COUNT(*) AS n FROM s GROUP BY p, SlidingWindow(minute, 5)", "5 minute", false, false},
		{"WITH s AS (SELECT a, PartitionId AS p FROM i) SELECT COUNT(*) AS n FROM s GROUP BY p, SlidingWindow(minute, 5)", "5 minute", true, false},
		{"WITH s AS (SELECT a AS PartitionId FROM i) SELECT COUNT(*) AS n FROM s GROUP BY PartitionId, SlidingWindow(minute, 5)", "5 minute", false, false},
		{"WITH s AS (SELECT k, COUNT(*) AS n FROM i GROUP BY k, TumblingWindow(minute, 5)) SELECT k, n INTO a FROM s SELECT MAX(n) AS n INTO b FROM s GROUP BY TumblingWindow(hour, 1)", "65 minute", false, false},
		{"SELECT COUNT(*) AS n FROM i GROUP BY SessionWindow(minute, 1, 10)", "21 minute", false, false},
		{"SELECT COUNT(*) AS n FROM i GROUP BY PartitionId, SessionWindow(minute, 1, 10)", "21 minute", false, false},
		{"SELECT COUNT(*) AS n FROM i GROUP BY SessionWindow(minute, 1, 10) OVER (PARTITION BY PartitionId)", "21 minute", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			p := compileText(t, tt.query)
			if got := duration(p.Reach()); got != tt.reach {
				t.Errorf("reach %s, want %s", got, tt.reach)
			}
			if got := p.Sharding(); got != (Sharding{tt.perPartition, tt.passThrough}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	const query = `WITH hot AS (SELECT *, temperature * 1.8 + 32 AS f FROM hub TIMESTAMP BY ts WHERE temperature > 30)
SELECT * INTO archive FROM hot
SELECT deviceId, AVG(f) AS avg INTO alerts FROM hot GROUP BY deviceId, TumblingWindow(minute, 1) HAVING COUNT(*) > 2
UNION
SELECT deviceId, f FROM hot`
	const want = `input hub timestamp by ts
  filter temperature > 30; project *, temperature * 1.8 + 32 AS f
    project *
      output archive
    group by deviceId, tumbling window of 1 minute: AVG(f), COUNT(*)
      filter COUNT(*) > 2; project deviceId, AVG(f) AS avg
        #1 union
          output alerts
    project deviceId, f
      #1 (above)
`
	if diff := cmp.Diff(want, compileText(t, query).Explain()); diff != "" {
		t.Error(diff)
	}
}

// TestParallel runs two instances of each program at the same time: they share
// nothing that changes, which the race detector checks.
func TestParallel(t *testing.T) {
	for _, q := range testQueries(t) {
		script, err := saql.Parse(q)
		if err != nil {
			continue
		}
		p, err := Compile(script, Environment{})
		if err != nil {
			continue
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { runFuzzed(t, p, p.New(func(*RowError) error { return nil })) })
		}
		wg.Wait()
	}
}
