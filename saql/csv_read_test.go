package saql

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func csvRows(body string, delimiter byte, paths ...string) string {
	var columns []DecodeColumn
	for _, p := range paths {
		columns = append(columns, pathOf(p))
	}
	values := make([]Value, len(columns))
	var rows []string
	err := NewCSVDecoder(columns, delimiter).Rows([]byte(body), values, func(i int, err error) error {
		row := fmt.Sprintf("%d:", i)
		if err != nil {
			row += " " + err.Error()
		} else {
			for _, v := range values {
				row += " " + show(v)
			}
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		rows = append(rows, err.Error())
	}
	return strings.Join(rows, "; ")
}

func TestCSV(t *testing.T) {
	for _, c := range []struct {
		name, body string
		delimiter  byte
		columns    string
		want       string
	}{
		{"strings", "id,t\r\n1,20.5\r\n2,x\r\n", ',', "t id no", `0: "20.5" "1" NULL; 1: "x" "2" NULL`},
		{"no line end behind the last row", "id\n1", ',', "id", `0: "1"`},
		{"other case", "ID,id\n1,2", ',', "Id id", `0: "1" "2"`},
		{"other delimiter", "a;b\n1,5;2", ';', "a b", `0: "1,5" "2"`},
		{"quotes", "a,b\n\"x, \"\"y\"\"\nz\",\"\"", ',', "a b", `0: "x, \"y\"\nz" ""`},
		{"empty values and lines", "\n a , b \n\n,\n\n", ',', "a b", `0: "" ""`},
		{"short row", "a,b\n1", ',', "a b *", `0: "1" NULL record [{a "1"} {b NULL}]`},
		{"long row", "a\n1,2\n3", ',', "a", `0: byte 2: the row has 2 values, the header 1 names; 1: "3"`},
		{"nested", "a\n1", ',', "a.b", `0: NULL`},
		{"byte order mark", "\uFEFFa\n1", ',', "a", `0: "1"`},
		{"only a header", "a,b\n", ',', "a", ``},
		{"empty", "", ',', "a", `byte 0: expected a header, found the end`},
		{"open quote", "a\n1\n\"x", ',', "a", `byte 4: a quote that is not closed`},
		{"text behind a quote", "a\n\"x\"y", ',', "a", `byte 5: expected a delimiter behind the quote, found 'y'`},
		{"not UTF-8", "a\n\xff", ',', "a", `byte 2: the text is not valid UTF-8`},
	} {
		if got := csvRows(c.body, c.delimiter, strings.Fields(c.columns)...); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
	stop := errors.New("stop")
	err := NewCSVDecoder(nil, ',').Rows([]byte("a\n1\n2"), nil, func(int, error) error { return stop })
	if err != stop {
		t.Errorf("each returned an error: %v", err)
	}
}

// FuzzCSV compares with encoding/csv where that reads the body.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\n\"x\"\"\"\r\n", "\n\na\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got [][]string
		d := NewCSVDecoder([]DecodeColumn{{}}, ',')
		err := d.Rows(body, make([]Value, 1), func(_ int, err error) error {
			if err != nil {
				return err
			}
			got = append(got, append([]string(nil), d.fields...))
			for i := range d.fields {
				got[len(got)-1][i] = strings.Clone(d.fields[i])
			}
			return nil
		})
		if err != nil || bytes.ContainsRune(body, '\r') || bytes.ContainsRune(body, '\uFEFF') {
			return
		}
		r := csv.NewReader(bytes.NewReader(body))
		r.FieldsPerRecord = -1
		want, err := r.ReadAll()
		if err != nil {
			return
		}
		if fmt.Sprint(want[1:]) != fmt.Sprint(got) {
			t.Fatalf("%q is %q, want %q", body, got, want[1:])
		}
	})
}
