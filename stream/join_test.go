package stream

import (
	"testing"

	"github.com/weir-iot/weir/saql"
)

// TestPartitionsOfOverAndJoin checks which programs may run an instance per
// partition: those whose keys tell partitions apart.
func TestPartitionsOfOverAndJoin(t *testing.T) {
	tests := []struct {
		query string
		want  bool
	}{
		{"SELECT LAG(v) OVER (PARTITION BY PartitionId, id LIMIT DURATION(second, 1)) AS a FROM i", true},
		{"SELECT LAG(v) OVER (PARTITION BY id LIMIT DURATION(second, 1)) AS a FROM i", false},
		{"SELECT ISFIRST(second, 1) AS a FROM i", false},
		{"SELECT LAG(v) OVER (PARTITION BY PartitionId LIMIT DURATION(second, 1)) AS a, LAST(v) OVER (LIMIT DURATION(second, 1)) AS b FROM i", false},
		{"WITH s AS (SELECT PartitionId AS p, v FROM i) SELECT LAG(v) OVER (PARTITION BY p LIMIT DURATION(second, 1)) AS a FROM s", true},
		{"WITH s AS (SELECT v AS PartitionId FROM i) SELECT LAST(PartitionId) OVER (PARTITION BY PartitionId LIMIT DURATION(second, 1)) AS a FROM s", false},
		{"SELECT a.v FROM a JOIN b ON a.PartitionId = b.PartitionId AND DATEDIFF(second, a, b) = 0", true},
		{"SELECT a.v FROM a JOIN b ON a.PartitionId = b.v AND DATEDIFF(second, a, b) = 0", false},
		{"SELECT a.v FROM a JOIN b ON DATEDIFF(second, a, b) = 0", false},
		{"SELECT e.ArrayValue FROM a CROSS APPLY GetArrayElements(list) AS e", true},
	}
	for _, tt := range tests {
		if got := compileText(t, tt.query).Sharding().PerPartition; got != tt.want {
			t.Errorf("%s: per partition %t, want %t", tt.query, got, tt.want)
		}
	}
}

// TestFingerprintOfOverAndJoin checks what may change without the state being
// lost: what is not kept.
func TestFingerprintOfOverAndJoin(t *testing.T) {
	const (
		over = "SELECT LAG(v) OVER (PARTITION BY id LIMIT DURATION(second, 1)) AS a FROM i WHERE v > 1"
		join = "SELECT a.v AS x FROM a JOIN b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 WHERE a.w > 1"
	)
	tests := []struct {
		from, to string
		equal    bool
	}{
		{over, "select lag(I.v) over (limit duration(second, 1) partition by ID) AS b FROM i WHERE v > 2", true},
		{over, "SELECT LAG(w) OVER (PARTITION BY id LIMIT DURATION(second, 1)) AS a FROM i WHERE v > 1", false},
		{over, "SELECT LAG(v) OVER (PARTITION BY w LIMIT DURATION(second, 1)) AS a FROM i WHERE v > 1", false},
		{over, "SELECT LAG(v) OVER (PARTITION BY id LIMIT DURATION(second, 2)) AS a FROM i WHERE v > 1", false},
		{over, "SELECT LAG(v) OVER (PARTITION BY id LIMIT DURATION(second, 1) WHEN v > 1) AS a FROM i WHERE v > 1", false},
		{over, "SELECT LAST(v) OVER (PARTITION BY id LIMIT DURATION(second, 1)) AS a FROM i WHERE v > 1", false},
		{join, "SELECT A.v + 1 AS y FROM a JOIN b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 WHERE a.w > 2", true},
		{join, "SELECT a.z AS x FROM a JOIN b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 WHERE a.w > 1", false},
		{join, "SELECT a.v AS x FROM a JOIN b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 6 WHERE a.w > 1", false},
		{join, "SELECT a.v AS x FROM a LEFT JOIN b ON a.id = b.id AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 WHERE a.w > 1", false},
		{join, "SELECT a.v AS x FROM a JOIN b ON a.id = b.v AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 WHERE a.w > 1", false},
	}
	for _, tt := range tests {
		from, to := compileText(t, tt.from).Fingerprint(), compileText(t, tt.to).Fingerprint()
		if (from == to) != tt.equal {
			t.Errorf("%s\n%s: equal %t, want %t", tt.from, tt.to, from == to, tt.equal)
		}
	}
}

// TestReachOfOverAndJoin checks how far back a replay must begin.
func TestReachOfOverAndJoin(t *testing.T) {
	const second = saql.Ticks(10_000_000)
	tests := []struct {
		query string
		want  saql.Ticks
	}{
		{"SELECT LAG(v) OVER (LIMIT DURATION(second, 3)) AS a, LAST(v) OVER (LIMIT DURATION(second, 9)) AS b FROM i", 9 * second},
		{"SELECT a.v FROM a JOIN b ON DATEDIFF(second, a, b) BETWEEN 0 AND 5", 6*second - 1},
		{"SELECT a.v FROM a JOIN b ON DATEDIFF(second, a, b) BETWEEN -7 AND 5", 8*second - 1},
		{"SELECT a.v FROM a JOIN b ON DATEDIFF(second, a, b) = 0 JOIN c ON DATEDIFF(second, b, c) BETWEEN 0 AND 1", 1*second - 1 + 3*second - 2},
		{"WITH s AS (SELECT LAG(v) OVER (LIMIT DURATION(second, 3)) AS a FROM i) SELECT LAG(a) OVER (LIMIT DURATION(second, 4)) AS b FROM s", 7 * second},
	}
	for _, tt := range tests {
		if got := compileText(t, tt.query).Reach(); got != tt.want {
			t.Errorf("%s: reach %d, want %d", tt.query, got, tt.want)
		}
	}
}
