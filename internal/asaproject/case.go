package asaproject

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Case is one run of the query over files.
type Case struct {
	Name    string
	Inputs  []Input
	Outputs []Expected
	// Closed says that an output that is not among Outputs must stay empty.
	Closed bool
}

// An Expected is what an output should hold.
type Expected struct {
	Alias    string
	Path     string
	Ignore   []string // names of fields that do not count
	Required bool     // else it is not compared
}

// TestConfig is where the npm package looks for the cases of a project.
func (p *Project) TestConfig() string { return filepath.Join(p.Folder, "test", "testConfig.json") }

// Cases returns the test cases of a project: those of config, where it is not
// "", else those of TestConfig, else those of the folder NAME.Tests/1_arrange
// beside the project. Inputs that a case does not name are the project's own.
func (p *Project) Cases(config string) ([]Case, error) {
	arrange := filepath.Join(p.Folder+".Tests", "1_arrange")
	switch {
	case config != "":
	case isFile(p.TestConfig()):
		config = p.TestConfig()
	default:
		if _, err := os.Stat(arrange); err != nil {
			return nil, fmt.Errorf("project %s has no test cases: neither %s nor %s is there", p.Name, p.TestConfig(), arrange)
		}
		return p.arranged(arrange)
	}
	return p.configured(config)
}

// flexible is a bool that some tools write as a string.
type flexible bool

func (f *flexible) UnmarshalJSON(text []byte) error {
	*f = flexible(!strings.EqualFold(strings.Trim(string(text), `"`), "false"))
	return nil
}

// configured reads testConfig.json.
func (p *Project) configured(file string) ([]Case, error) {
	var c struct {
		TestCases []struct {
			Name            string
			Inputs          []mock
			ExpectedOutputs []struct {
				OutputAlias, FilePath string
				IgnoreFields          []string
				Required              flexible
			}
		}
	}
	if err := readJSON(file, &c); err != nil {
		return nil, err
	}
	var all []Case
	for _, t := range c.TestCases {
		k := Case{Name: t.Name, Closed: true}
		for _, m := range t.Inputs {
			in := m.input(filepath.Dir(file))
			in.Path = p.find(file, m.FilePath)
			k.Inputs = append(k.Inputs, in)
		}
		for _, o := range t.ExpectedOutputs {
			k.Outputs = append(k.Outputs, Expected{Alias: o.OutputAlias, Path: p.find(file, o.FilePath), Ignore: o.IgnoreFields, Required: bool(o.Required)})
		}
		k.Inputs = p.complete(k.Inputs)
		all = append(all, k)
	}
	return all, nil
}

// find looks for a path of a test configuration: from its folder, from the
// project's, and by its name alone beside the configuration, since the path may
// be that of another machine.
func (p *Project) find(config, name string) string {
	dir := filepath.Dir(config)
	first := under(dir, name)
	for _, path := range []string{first, p.path(name), filepath.Join(dir, filepath.Base(filepath.FromSlash(strings.ReplaceAll(name, `\`, "/"))))} {
		if isFile(path) {
			return path
		}
	}
	return first
}

// arranged reads the folder of asa.unittest: NUMBER~input~ALIAS~LABEL.EXT and
// NUMBER~output~ALIAS~LABEL.json.
func (p *Project) arranged(dir string) ([]Case, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the test cases: %w", err)
	}
	var all []Case
	for _, e := range entries { // in the order of their names
		path := filepath.Join(dir, e.Name())
		parts := strings.Split(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), "~")
		if e.IsDir() || len(parts) < 3 {
			continue
		}
		at := slices.IndexFunc(all, func(c Case) bool { return c.Name == parts[0] })
		if at < 0 {
			at, all = len(all), append(all, Case{Name: parts[0]})
		}
		switch alias := parts[2]; strings.ToLower(parts[1]) {
		case "input":
			all[at].Inputs = append(all[at].Inputs, p.mocked(alias, path))
		case "output":
			all[at].Outputs = append(all[at].Outputs, Expected{Alias: alias, Path: path, Required: true})
		}
	}
	for i := range all {
		all[i].Inputs = p.complete(all[i].Inputs)
	}
	return all, nil
}

// mocked is the project's local input alias with the data of path.
func (p *Project) mocked(alias, path string) Input {
	for _, in := range p.Inputs {
		if strings.EqualFold(in.Alias, alias) {
			in.Path = path
			return in
		}
	}
	return Input{Alias: alias, Path: path, Format: strings.TrimPrefix(filepath.Ext(path), ".")}
}

// complete adds the project's local inputs that given lacks.
func (p *Project) complete(given []Input) []Input {
	for _, in := range p.Inputs {
		if !slices.ContainsFunc(given, func(g Input) bool { return strings.EqualFold(g.Alias, in.Alias) }) {
			given = append(given, in)
		}
	}
	return given
}

// Rows maps the alias of an output, as the query writes it, to its rows.
type Rows map[string][]json.RawMessage

// of returns the rows of an alias, whatever its case.
func (r Rows) of(alias string) (string, []json.RawMessage) {
	for name, rows := range r {
		if strings.EqualFold(name, alias) {
			return name, rows
		}
	}
	return alias, nil
}
