package refdata

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-iot/weir/saql"
)

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rooms.csv")
	write := func(text string, minute int) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	shown := func(table *Table) string {
		var all []string
		for _, r := range table.At(0) {
			all = append(all, string(saql.AppendJSON(nil, saql.RecordValue(r))))
		}
		return strings.Join(all, "")
	}
	if _, err := Load(path, ""); err == nil {
		t.Error("a file that is not there was read")
	}
	write("id,name\n1,a\n2,b\n", 1)
	table, err := Load(path, "")
	if err != nil || shown(table) != `{"id":"1","name":"a"}{"id":"2","name":"b"}` {
		t.Fatal(shown(table), err)
	}
	if changed, err := table.Refresh(); changed || err != nil {
		t.Errorf("nothing changed: %v, %v", changed, err)
	}
	write("id,name\n3,c\n", 2)
	if changed, err := table.Refresh(); !changed || err != nil || shown(table) != `{"id":"3","name":"c"}` {
		t.Errorf("%v, %v, %s", changed, err, shown(table))
	}
	// What cannot be read leaves what was.
	write("id,name\n1,2,3\n", 3)
	if changed, err := table.Refresh(); changed || err == nil || shown(table) != `{"id":"3","name":"c"}` {
		t.Errorf("%v, %v, %s", changed, err, shown(table))
	}
	if _, err := table.Refresh(); err != nil {
		t.Errorf("the same wrong version again: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if changed, err := table.Refresh(); changed || err == nil || len(table.At(0)) != 1 {
		t.Errorf("%v, %v", changed, err)
	}
}
