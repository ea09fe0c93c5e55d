package lake

import (
	"fmt"
	"testing"
	"time"

	"github.com/weir-iot/weir/blob"
	"github.com/weir-iot/weir/blob/dir"
	"github.com/weir-iot/weir/blob/mem"
)

func openTable(t testing.TB, b blob.Bucket, opts Options) *Table {
	t.Helper()
	table, err := Open(t.Context(), b, "telemetry", opts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestTmp(t *testing.T) {
	b, err := dir.Open("/tmp/lakepy/data")
	if err != nil {
		t.Fatal(err)
	}
	table := openTable(t, b, Options{})
	w := table.Writer(WriterOptions{})
	from, _ := w.Committed("a")
	for range 25 {
		var rows []Row
		for range 1000 {
			from++
			rows = append(rows, Row{Sender: fmt.Sprint("d", from%10), Seq: from, EnqueuedAt: time.Now(), Body: fmt.Appendf(nil, `{"deviceId":"d%d","timestamp":"2026-11-25T10:00:00.%03dZ","temperature":%d.%02d,"a":{"b":%d},"s":"ok","l":[1],"flag":true}`, from%10, from%1000, from%40, from%100, from)})
		}
		if err := w.Append(t.Context(), rows, Txn{"a", from}); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("%+v\n", w.Stats())
	_ = mem.New
}
