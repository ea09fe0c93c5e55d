package asaproject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/weir-iot/weir/internal/recordfile"
)

// A Difference is a row that one side lacks, or two rows that are nearly the same.
type Difference struct {
	Want, Got json.RawMessage // nil: that side has no such row
	Fields    []FieldDifference
}

// A FieldDifference is a field of two rows; absent is "".
type FieldDifference struct{ Name, Want, Got string }

// compare tells how the rows of an output differ from those of the expected
// file. The order of rows and of fields does not count: outputs of several
// partitions have none.
func compare(e *Expected, got []json.RawMessage) ([]Difference, error) {
	want, err := readRows(e.Path)
	if err != nil {
		return nil, err
	}
	left, err := parseRows(want, e.Ignore)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path, err)
	}
	right, err := parseRows(got, e.Ignore)
	if err != nil {
		return nil, err
	}
	left, right = unmatched(left, right)
	return pair(left, right), nil
}

// readRows reads an expected output: an array, or one object after another.
func readRows(path string) ([]json.RawMessage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the expected output: %w", err)
	}
	defer f.Close()
	var all []json.RawMessage
	for r, err := range recordfile.Read(f, recordfile.JSON) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, bytes.Clone(r))
	}
	return all, nil
}

// A row is a row in a form that compares.
type row struct {
	raw    json.RawMessage
	fields map[string]string // canonical JSON of each
}

// key is the same for rows that are equal.
func (r row) key() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.fields)) {
		fmt.Fprintf(&b, "%q:%s,", name, r.fields[name])
	}
	return b.String()
}

func parseRows(raw []json.RawMessage, ignore []string) ([]row, error) {
	all := make([]row, len(raw))
	for i, text := range raw {
		all[i].raw = text
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			return nil, fmt.Errorf("row %d is not an object: %s", i+1, text)
		}
		all[i].fields = make(map[string]string, len(fields))
		for name, value := range fields {
			if !slices.Contains(ignore, name) {
				all[i].fields[name] = canonical(value)
			}
		}
	}
	return all, nil
}

// canonical is the same text for equal values: 1, 1.0 and 1e0 are equal.
func canonical(value json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return string(value)
	}
	text, err := json.Marshal(plain(v))
	if err != nil {
		return string(value)
	}
	return string(text)
}

// plain keeps whole numbers exact, and makes the others floats.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return v
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// unmatched drops the rows that both sides have, as often as both have them.
func unmatched(left, right []row) (l, r []row) {
	have := map[string]int{}
	for _, x := range right {
		have[x.key()]++
	}
	common := map[string]int{}
	for _, x := range left {
		k := x.key()
		if have[k] > 0 {
			have[k]--
			common[k]++
			continue
		}
		l = append(l, x)
	}
	for _, x := range right {
		k := x.key()
		if common[k] > 0 {
			common[k]--
			continue
		}
		r = append(r, x)
	}
	return l, r
}

// maxPair bounds the work of finding rows that belong together.
const maxPair = 200

// pair puts each wanted row beside the row that differs from it least, if they
// share at least as many fields as they differ in.
func pair(left, right []row) []Difference {
	var all []Difference
	for _, l := range left {
		best, fewest := -1, len(l.fields)+1
		for i, r := range right[:min(len(right), maxPair)] {
			n := len(differences(l, r))
			if shared := (len(l.fields) + len(r.fields) - n) / 2; n < fewest && n <= shared {
				best, fewest = i, n
			}
		}
		if best < 0 {
			all = append(all, Difference{Want: l.raw})
			continue
		}
		all = append(all, Difference{l.raw, right[best].raw, differences(l, right[best])})
		right = slices.Delete(slices.Clone(right), best, best+1)
	}
	for _, r := range right {
		all = append(all, Difference{Got: r.raw})
	}
	return all
}

// differences lists the fields in which rows differ, in order of their names.
func differences(l, r row) []FieldDifference {
	names := maps.Clone(l.fields)
	maps.Copy(names, r.fields)
	var all []FieldDifference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if l.fields[name] != r.fields[name] {
			all = append(all, FieldDifference{name, l.fields[name], r.fields[name]})
		}
	}
	return all
}
