package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/internal/asaproject"
	"github.com/weir-iot/weir/internal/recordfile"
	"github.com/weir-iot/weir/internal/refdata"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// Exit codes of azure-streamanalytics-cicd, as a process shows -1 and -2.
const (
	exitBroken = 255 // a test could not be run
	exitFailed = 254 // a test failed
)

func newTest(g *globals) *cobra.Command {
	var config, out string
	c := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the tests of Stream Analytics projects",
		Long: `Run the test cases of the Stream Analytics project in DIR, or of those in its
folders, as azure-streamanalytics-cicd test does: the project is asaproj.json or
*.asaproj, its cases test/testConfig.json. Where there is none, the cases are the
files in PROJECT.Tests/1_arrange, as asa.unittest has them.

Rows may come in any order, and fields too; numbers are compared by value. A case
with Required false or without an output is not compared with it; IgnoreFields are
left out. The summary goes to testResultSummary.json in --out, the rows of each case
to folders beside it.

Exit codes: 0 all passed, 254 (-2) a test failed, 255 (-1) a test could not be run.`,
		Example: `  weir test
  weir test ./ClickStream --out results
  weir test ./ClickStream --test-config ./ClickStream/test/smoke.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return g.test(c.Context(), dir, config, out)
		},
	}
	c.Flags().StringVar(&config, "test-config", "", "the `FILE` with the cases; default: test/testConfig.json of the project")
	c.Flags().StringVar(&out, "out", ".", "the `DIR` for the summary and the rows")
	return c
}

// test runs the cases of all projects in dir.
func (g *globals) test(ctx context.Context, dir, config, out string) error {
	projects, err := asaproject.Find(dir)
	if err != nil {
		return exitWith{exitBroken, err}
	}
	failed, total := 0, 0
	for _, p := range projects {
		to := out
		if len(projects) > 1 {
			to = filepath.Join(out, p.Name)
		}
		summary, err := g.testProject(ctx, p, config, to)
		if err != nil {
			return exitWith{exitBroken, err}
		}
		failed, total = failed+summary.Failed, total+summary.Total
	}
	if failed > 0 {
		return exitWith{exitFailed, fmt.Errorf("%d of %d tests failed: %s", failed, total, filepath.Join(out, asaproject.SummaryFile))}
	}
	if !g.json {
		fmt.Fprintf(g.stdout, "%d tests passed\n", total)
	}
	return nil
}

func (g *globals) testProject(ctx context.Context, p *asaproject.Project, config, out string) (*asaproject.Summary, error) {
	cases, err := p.Cases(config)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	summary := &asaproject.Summary{Script: p.Script}
	for i := range cases {
		started := time.Now()
		rows, err := runCase(ctx, p, &cases[i])
		if err != nil {
			return nil, fmt.Errorf("test case %s: %w", cases[i].Name, err)
		}
		result, err := cases[i].Judge(rows, cases[i].Folder(out))
		if err != nil {
			return nil, err
		}
		result.Time = asaproject.Span(time.Since(started))
		summary.Add(result)
		if !g.json {
			result.Text(g.stdout)
		}
	}
	summary.Time = asaproject.Span(time.Since(begun))
	if g.json {
		if err := g.print(summary, func(io.Writer) {}); err != nil {
			return nil, err
		}
	}
	return summary, summary.Write(out)
}

// runCase runs a project's query over the files of a case, as a local run of
// Azure does: events are in order of their time, and none is late.
func runCase(ctx context.Context, p *asaproject.Project, c *asaproject.Case) (asaproject.Rows, error) {
	env := stream.Environment{Inputs: map[string]stream.Input{}}
	files := map[string]iter.Seq2[json.RawMessage, error]{}
	for _, in := range c.Inputs {
		format, err := formatOf(in)
		if err != nil {
			return nil, err
		}
		if !in.Reference {
			env.Inputs[in.Alias] = stream.Input{}
			files[in.Alias] = records(in.Path, format)
			continue
		}
		table, err := refdata.Load(in.Path, format)
		if err != nil {
			return nil, err
		}
		env.Inputs[in.Alias] = stream.Input{Reference: table}
	}
	functions, end, err := functionsOf(ctx, p.Functions)
	if err != nil {
		return nil, err
	}
	defer end()
	env.Functions = functions
	program, err := compile(p.Script, env)
	if err != nil {
		return nil, err
	}
	for alias := range files { // a project may have inputs that its query does not read
		if !reads(program, alias) {
			delete(files, alias)
		}
	}
	rows := asaproject.Rows{}
	r := stream.Replay{
		Program: program, Ingest: ingestOf(p.Settings.Compatibility), Arrival: time.Unix(0, 0),
		Row: func(output stream.OutputPlan, row *saql.Row) error {
			rows[output.Name] = append(rows[output.Name], bytes.Clone(output.Schema.AppendJSON(nil, row.Values)))
			return nil
		},
		Dead: func(d *stream.DeadLetter) error { return fmt.Errorf("an event failed: %s", reasonOf(d)) },
	}
	_, err = r.Records(ctx, files)
	return rows, err
}

func reads(p *stream.Program, alias string) bool {
	for _, in := range p.Inputs() {
		if strings.EqualFold(in.Alias, alias) {
			return true
		}
	}
	return false
}

func formatOf(in asaproject.Input) (string, error) {
	switch f := strings.ToLower(in.Format); f {
	case "json", "csv":
		return f, nil
	case "":
		return recordfile.FormatOf(in.Path), nil
	default:
		return "", fmt.Errorf("input %s has the format %s: what is read is Json and Csv", in.Alias, in.Format)
	}
}
