package asaproject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SummaryFile is the name of the file with the results.
const SummaryFile = "testResultSummary.json"

// A Summary is what testResultSummary.json holds, in its own words.
type Summary struct {
	Total, Passed, Failed int
	Script                string
	Results               []*Result
	Time                  Span
}

// A Result is that of one case.
type Result struct {
	Name             string
	Status           int // 0 passed, 1 failed
	Time             Span
	OutputMatched    []OutputResult
	OutputNotEqual   []OutputResult
	OutputMissing    []OutputResult
	OutputUnexpected []OutputResult
	OutputUnrequired []OutputResult

	Differences map[string][]Difference `json:"-"` // by OutputAlias
}

// An OutputResult names an output and its files; a file that is not there is "".
type OutputResult struct{ OutputAlias, ExpectedOutput, Output string }

// A Span is a duration as .NET writes one: hh:mm:ss.fffffff.
type Span time.Duration

// MarshalJSON implements json.Marshaler.
func (s Span) MarshalJSON() ([]byte, error) {
	d := time.Duration(s)
	return fmt.Appendf(nil, `"%02d:%02d:%02d.%07d"`, int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60, d%time.Second/100), nil
}

// Judge compares rows with what c expects. The rows of each output are written
// to the folder out.
func (c *Case) Judge(rows Rows, out string) (*Result, error) {
	r := &Result{Name: c.Name, OutputMatched: []OutputResult{}, OutputNotEqual: []OutputResult{}, OutputMissing: []OutputResult{},
		OutputUnexpected: []OutputResult{}, OutputUnrequired: []OutputResult{}, Differences: map[string][]Difference{}}
	files, err := writeRows(rows, out)
	if err != nil {
		return nil, err
	}
	for i := range c.Outputs {
		e := &c.Outputs[i]
		name, got := rows.of(e.Alias)
		o := OutputResult{e.Alias, e.Path, files[name]}
		if !e.Required {
			r.OutputUnrequired = append(r.OutputUnrequired, o)
			continue
		}
		diff, err := compare(e, got)
		if err != nil {
			return nil, fmt.Errorf("test case %s, output %s: %w", c.Name, e.Alias, err)
		}
		r.Differences[e.Alias] = diff
		switch {
		case len(diff) == 0:
			r.OutputMatched = append(r.OutputMatched, o)
		case len(got) == 0:
			r.OutputMissing = append(r.OutputMissing, o)
		default:
			r.OutputNotEqual = append(r.OutputNotEqual, o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if slices.ContainsFunc(c.Outputs, func(e Expected) bool { return strings.EqualFold(e.Alias, name) }) {
			continue
		}
		if o := (OutputResult{name, "", files[name]}); c.Closed {
			r.OutputUnexpected = append(r.OutputUnexpected, o)
		} else {
			r.OutputUnrequired = append(r.OutputUnrequired, o)
		}
	}
	if len(r.OutputNotEqual)+len(r.OutputMissing)+len(r.OutputUnexpected) > 0 {
		r.Status = 1
	}
	return r, nil
}

// writeRows writes a file of lines for each output that has rows.
func writeRows(rows Rows, dir string) (files map[string]string, err error) {
	files = map[string]string{}
	for name, list := range rows {
		if len(list) == 0 {
			continue
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, fmt.Errorf("writing the outputs: %w", err)
		}
		files[name] = filepath.Join(dir, plainName(name)+".json")
		text := append(bytes.Join(rawLines(list), []byte{'\n'}), '\n')
		if err := os.WriteFile(files[name], text, 0o666); err != nil {
			return nil, fmt.Errorf("writing the outputs: %w", err)
		}
	}
	return files, nil
}

func rawLines(list []json.RawMessage) [][]byte {
	all := make([][]byte, len(list))
	for i, r := range list {
		all[i] = r
	}
	return all
}

// plainName makes a file name of any alias or case.
func plainName(s string) string {
	if strings.HasPrefix(s, ".") {
		s = "_" + s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, s)
}

// Folder is where the outputs of a case go, below out.
func (c *Case) Folder(out string) string { return filepath.Join(out, plainName(c.Name)) }

// Add counts a result.
func (s *Summary) Add(r *Result) {
	s.Results = append(s.Results, r)
	s.Total++
	if r.Status == 0 {
		s.Passed++
	} else {
		s.Failed++
	}
}

// Write writes the summary into the folder out.
func (s *Summary) Write(out string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	if err := os.WriteFile(filepath.Join(out, SummaryFile), b.Bytes(), 0o666); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}
