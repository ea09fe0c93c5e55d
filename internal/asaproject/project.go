// Package asaproject reads Azure Stream Analytics projects and their test cases
// as the tools of Azure write them: asaproj.json of Visual Studio Code and
// *.asaproj of Visual Studio, test/testConfig.json of the npm package
// azure-streamanalytics-cicd, and the folders of the PowerShell module
// asa.unittest. It compares what a query gave with what a case expects, and
// writes testResultSummary.json. It leaves out running the query.
//
// Paths in these files are often those of another machine: \ is taken for /.
package asaproject

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-iot/weir/internal/recordfile"
)

// A Project is a query with its settings.
type Project struct {
	Name      string
	Folder    string // absolute
	Script    string // path of the .asaql file
	Settings  Settings
	Inputs    []Input  // the local ones, with their sample data
	Functions []string // paths of JavaScript files
}

// Settings are those of JobConfig.json that change rows.
type Settings struct {
	Late          time.Duration // negative: without bound
	OutOfOrder    time.Duration
	Drop          bool   // instead of adjust
	Compatibility string // "1.2"
}

// An Input is a file of events or of reference data.
type Input struct {
	Alias     string
	Reference bool
	Format    string // as the file says: Json, Csv
	Path      string
}

// list is the part of asaproj.json that counts.
type list struct {
	Name           string `json:"name"`
	StartFile      string `json:"startFile"`
	Configurations []struct {
		FilePath string `json:"filePath"`
		SubType  string `json:"subType"`
	} `json:"configurations"`
}

// Find returns the projects in dir: dir itself, the one that NAME.Tests is of,
// or else the folders in it.
func Find(dir string) ([]*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("naming the folder: %w", err)
	}
	for _, dir := range []string{dir, strings.TrimSuffix(dir, ".Tests")} {
		if file := projectFile(dir); file != "" {
			p, err := Open(file)
			if err != nil {
				return nil, err
			}
			return []*Project{p}, nil
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for projects: %w", err)
	}
	var all []*Project
	for _, e := range entries {
		if file := projectFile(filepath.Join(dir, e.Name())); e.IsDir() && file != "" {
			p, err := Open(file)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no asaproj.json, nor has a folder in it: name the folder of a Stream Analytics project", dir)
	}
	return all, nil
}

// projectFile returns the project file in dir, or "".
func projectFile(dir string) string {
	if file := filepath.Join(dir, "asaproj.json"); isFile(file) {
		return file
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.asaproj")); len(files) > 0 { // the pattern is well formed
		return files[0]
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Open reads a project file.
func Open(file string) (*Project, error) {
	l, err := readList(file)
	if err != nil {
		return nil, err
	}
	p := &Project{Name: l.Name, Folder: filepath.Dir(file), Settings: Settings{Late: 5 * time.Second, Compatibility: "1.2"}}
	if p.Name == "" {
		p.Name = filepath.Base(p.Folder)
	}
	if l.StartFile == "" {
		return nil, fmt.Errorf("%s: startFile is missing: it names the .asaql file", file)
	}
	p.Script = p.path(l.StartFile)
	for _, c := range l.Configurations {
		if err := p.add(c.SubType, p.path(c.FilePath)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// path is a path of the project file.
func (p *Project) path(name string) string { return under(p.Folder, name) }

// under is name, written on any system, as seen from dir.
func under(dir, name string) string {
	name = filepath.FromSlash(strings.ReplaceAll(name, `\`, "/"))
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

func (p *Project) add(subType, file string) error {
	switch subType {
	case "JobConfig":
		return readJSON(file, &p.Settings)
	case "InputMock":
		var in mock
		if err := readJSON(file, &in); err != nil {
			return err
		}
		p.Inputs = append(p.Inputs, in.input(filepath.Dir(file)))
	case "JSFunction", "JavaScript", "JSFunctionConfig":
		if script := strings.TrimSuffix(file, ".json"); strings.HasSuffix(script, ".js") {
			p.Functions = append(p.Functions, script)
		}
	}
	return nil
}

// mock is a local input: Inputs/Local_NAME.json, or one of a test case.
type mock struct {
	InputAlias, Type, Format, FilePath string
}

func (m mock) input(dir string) Input {
	return Input{Alias: m.InputAlias, Reference: strings.EqualFold(strings.ReplaceAll(m.Type, " ", ""), "ReferenceData"), Format: m.Format, Path: under(dir, m.FilePath)}
}

// UnmarshalJSON reads JobConfig.json.
func (s *Settings) UnmarshalJSON(text []byte) error {
	c := struct {
		EventsLateArrivalMaxDelayInSeconds *int64
		EventsOutOfOrderMaxDelayInSeconds  int64
		EventsOutOfOrderPolicy             string
		CompatibilityLevel                 string
	}{CompatibilityLevel: s.Compatibility}
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if c.EventsLateArrivalMaxDelayInSeconds != nil {
		s.Late = time.Duration(*c.EventsLateArrivalMaxDelayInSeconds) * time.Second
	}
	s.OutOfOrder = time.Duration(c.EventsOutOfOrderMaxDelayInSeconds) * time.Second
	s.Drop = strings.EqualFold(c.EventsOutOfOrderPolicy, "Drop")
	s.Compatibility = c.CompatibilityLevel
	return nil
}

// readList reads either form of a project file.
func readList(file string) (*list, error) {
	l := &list{}
	if strings.HasSuffix(file, ".json") {
		return l, readJSON(file, l)
	}
	text, err := readText(file)
	if err != nil {
		return nil, err
	}
	var x struct {
		Groups []struct {
			Scripts []struct {
				Include string `xml:"Include,attr"`
			} `xml:"Script"`
			Configures []struct {
				Include string `xml:"Include,attr"`
				SubType string `xml:"SubType"`
			} `xml:"Configure"`
		} `xml:"ItemGroup"`
	}
	if err := xml.Unmarshal(text, &x); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	l.Name = strings.TrimSuffix(filepath.Base(file), ".asaproj")
	for _, g := range x.Groups {
		for _, s := range g.Scripts {
			l.StartFile = s.Include
		}
		for _, c := range g.Configures {
			l.Configurations = append(l.Configurations, struct {
				FilePath string `json:"filePath"`
				SubType  string `json:"subType"`
			}{c.Include, c.SubType})
		}
	}
	return l, nil
}

func readJSON(file string, v any) error {
	text, err := readText(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// readText reads a file in whatever form of Unicode.
func readText(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the project names it", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(recordfile.Text(f))
}
