package stream

import (
	"fmt"
	"strings"
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
