package asaproject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/weir-iot/weir/internal/recordfile"
)

// TestProjects reads testdata/*.txtar: projects with their cases, the rows that
// the queries are said to have given, and what is made of them.
func TestProjects(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			want, rows := "", map[string]Rows{}
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				if parts := strings.Split(f.Name, "/"); parts[0] == "rows" {
					if rows[parts[1]] == nil {
						rows[parts[1]] = Rows{}
					}
					for r, err := range recordfile.Read(bytes.NewReader(f.Data), recordfile.JSON) {
						if err != nil {
							t.Fatal(err)
						}
						rows[parts[1]][parts[2]] = append(rows[parts[1]][parts[2]], json.RawMessage(bytes.Clone(r)))
					}
					continue
				}
				path := filepath.Join(dir, f.Name)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, f.Data, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, judge(t, dir, rows)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// judge is what a project in dir, its cases and their results look like, with
// paths from dir.
func judge(t *testing.T, dir string, rows map[string]Rows) string {
	t.Helper()
	projects, err := Find(dir)
	if err != nil || len(projects) != 1 {
		t.Fatalf("%d projects, %v", len(projects), err)
	}
	p := projects[0]
	s := p.Settings
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: late %s, out of order %s, drop %v, level %s, script %s, functions %v\n", p.Name, s.Late, s.OutOfOrder, s.Drop, s.Compatibility, p.Script, p.Functions)
	cases, err := p.Cases("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		for _, in := range c.Inputs {
			kind := "stream"
			if in.Reference {
				kind = "reference"
			}
			fmt.Fprintf(&b, "%s reads %s %s %s %s\n", c.Name, in.Alias, kind, in.Format, in.Path)
		}
	}
	out := filepath.Join(dir, "out")
	summary := Summary{Script: p.Script}
	for _, c := range cases {
		r, err := c.Judge(rows[c.Name], c.Folder(out))
		if err != nil {
			t.Fatal(err)
		}
		r.Text(&b)
		summary.Add(r)
	}
	if err := summary.Write(out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String()+string(text), dir+string(filepath.Separator), "")
}

func TestSpan(t *testing.T) {
	got, err := json.Marshal(Span(25*time.Hour + 3*time.Minute + 4*time.Second + 5600*time.Nanosecond))
	if err != nil || string(got) != `"25:03:04.0000056"` {
		t.Errorf("%s, %v", got, err)
	}
}
