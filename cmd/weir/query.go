package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-iot/weir/internal/refdata"
	"github.com/weir-iot/weir/node"
	"github.com/weir-iot/weir/saql"
	"github.com/weir-iot/weir/stream"
)

// queryFlags are those of weir query.
type queryFlags struct {
	settings
	inputs     []string
	references []string
	functions  string
	replay     time.Duration
	explain    bool
}

func newQuery(g *globals) *cobra.Command {
	var f queryFlags
	c := &cobra.Command{
		Use:   "query FILE",
		Short: "Run a query over files, or over the past of the running weir",
		Long: `Run the query in FILE, a script of Azure Stream Analytics, and print its rows: as
tables, or with --json as one object per line, {"into", "time", "row"}. Behind them,
on standard error: the watermark, and how many events came, were late, failed.
Nothing is written to any output.

--input ALIAS=FILE gives an input the events of a file: JSON (an array, or objects
one after another) or CSV (the name ends in .csv; all values are text). Their field
EventEnqueuedUtcTime, where the first has it, is their arrival time, and events that
are late or out of order by it are treated as --late, --out-of-order and --policy
say. Without it, or without these flags, events are put in order of their own time
first, and none is late, as in the local runs of Azure.

--replay DURATION reads the log of the running weir instead, from that long ago; its
configuration says what the inputs are. Windows that are not over give no rows.`,
		Example: `  weir query jobs/anomaly.asaql --input IoTHubInput=events.json
  weir query join.asaql --input hub=events.json --reference rooms=rooms.csv --json
  weir query jobs/anomaly.asaql --replay 2h
  weir query jobs/anomaly.asaql --explain`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return g.query(c.Context(), args[0], &f) },
	}
	c.Flags().StringArrayVar(&f.inputs, "input", nil, "the events of an input, `ALIAS=FILE`, - for standard input; may be repeated")
	c.Flags().StringArrayVar(&f.references, "reference", nil, "the reference data of an input, `ALIAS=FILE`, JSON or CSV; may be repeated")
	c.Flags().StringVar(&f.functions, "functions", "", "the `DIR` of JavaScript functions; default: the folder functions beside FILE or beside its folder")
	f.register(c)
	c.Flags().DurationVar(&f.replay, "replay", 0, "read the log of the running weir, from that long ago")
	c.Flags().BoolVar(&f.explain, "explain", false, "print the plan: the operators that the query becomes")
	return c
}

func (g *globals) query(ctx context.Context, file string, f *queryFlags) error {
	switch {
	case f.explain:
		return g.explainQuery(ctx, file, f)
	case f.replay > 0 && len(f.inputs) > 0:
		return errors.New("--replay reads the log, --input files: leave one out")
	case f.replay > 0:
		return g.replayQuery(ctx, file, f)
	case len(f.inputs) == 0:
		return errors.New("there is nothing to read: name a file with --input ALIAS=FILE, or read the log with --replay 2h")
	}
	return g.runQuery(ctx, file, f)
}

func (g *globals) explainQuery(ctx context.Context, file string, f *queryFlags) error {
	env, end, err := f.environment(ctx, file)
	if err != nil {
		return err
	}
	defer end()
	if len(f.inputs) == 0 {
		env.Inputs = nil // a plan needs no files: any name is a stream
	}
	p, err := compile(file, env)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(g.stdout, p.Explain())
	return err
}

// environment is what the flags say of inputs and functions; end ends the
// functions.
func (f *queryFlags) environment(ctx context.Context, file string) (env stream.Environment, end func(), err error) {
	env.Inputs = map[string]stream.Input{}
	for _, arg := range f.inputs {
		alias, _, err := pairOf("--input", arg)
		if err != nil {
			return env, nil, err
		}
		if err := addInput(env.Inputs, alias, stream.Input{}); err != nil {
			return env, nil, err
		}
	}
	for _, arg := range f.references {
		alias, path, err := pairOf("--reference", arg)
		if err != nil {
			return env, nil, err
		}
		table, err := refdata.Load(path, "")
		if err != nil {
			return env, nil, fmt.Errorf("--reference %s: %w", alias, err)
		}
		if err := addInput(env.Inputs, alias, stream.Input{Reference: table}); err != nil {
			return env, nil, err
		}
	}
	files, err := node.FunctionFiles(functionFolder(f.functions, file))
	if err != nil {
		return env, nil, err
	}
	env.Functions, end, err = functionsOf(ctx, files)
	return env, end, err
}

// addInput refuses an alias that is there, in whatever case.
func addInput(all map[string]stream.Input, alias string, in stream.Input) error {
	for other := range all {
		if strings.EqualFold(other, alias) {
			return fmt.Errorf("the input %s is there twice: an input has one file", alias)
		}
	}
	all[alias] = in
	return nil
}

// functionsOf starts JavaScript functions; end ends them.
func functionsOf(ctx context.Context, files []string) (all stream.Functions, end func(), err error) {
	f, err := node.LoadFunctions(ctx, files)
	if err != nil {
		return nil, nil, err
	}
	return f.For(), func() { _ = f.Close() }, nil // it ends because we say so
}

// pairOf splits ALIAS=FILE.
func pairOf(flag, arg string) (alias, path string, err error) {
	alias, path, ok := strings.Cut(arg, "=")
	if !ok || alias == "" || path == "" {
		return "", "", fmt.Errorf("%s %q: write ALIAS=FILE", flag, arg)
	}
	return alias, path, nil
}

// compile reads and compiles a script; errors name the file and the place.
func compile(file string, env stream.Environment) (*stream.Program, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the query: %w", err)
	}
	p, err := stream.Prepare(string(text), env)
	if err == nil {
		return p, nil
	}
	var lines []string
	for _, bad := range saql.Errors(err) {
		_, message, _ := strings.Cut(bad.Error(), ": ")
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", file, bad.At.Line, bad.At.Column, message))
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return nil, errors.New(strings.Join(lines, "\n"))
}

// functionFolder is where a query's functions are: named, or beside it.
func functionFolder(named, file string) string {
	if named != "" {
		return named
	}
	for _, dir := range []string{filepath.Dir(file), filepath.Dir(filepath.Dir(file))} {
		folder := filepath.Join(dir, "functions")
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder
		}
	}
	return ""
}
