package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weir-iot/weir/node"
)

//go:generate go test -run TestReference -update .

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"weir": func() { os.Exit(run()) }})
}

// TestScripts runs testdata/*.txtar against the real binary. $ports are the
// flags of a node on free ports.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(3 * time.Minute), // a script that waits for ever is killed, and says where
		Setup: func(e *testscript.Env) error {
			e.Setenv("free", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "field": field, "mode": mode, "lines": countLines, "same": same, "exits": exits, "metric": metric, "api": askAPI, "await": await,
		},
	})
}

// ready DIR waits until the node of the data folder takes work.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var s *node.State
		if s, err = node.ReadState(ts.MkAbs(args[0])); err != nil {
			continue
		}
		var r *http.Response
		if r, err = http.Get(s.API + "/readyz"); err != nil {
			continue
		}
		_ = r.Body.Close() // the status says it
		if err = fmt.Errorf("readyz answers %s", r.Status); r.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("the node is not ready: %v", err)
}

// field VAR NAME sets VAR to a member of the JSON object on stdout, or of the
// file, where one is named: field VAR NAME FILE.
func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: field VAR NAME [FILE]")
	}
	file := "stdout"
	if len(args) == 3 {
		file = args[2]
	}
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &object))
	value, ok := object[args[1]]
	if !ok {
		ts.Fatalf("%s has no %s", file, args[1])
	}
	if list, ok := value.([]any); ok {
		value = list[0]
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// mode PERM FILE... checks permissions.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args[1:] {
		info, err := os.Stat(ts.MkAbs(file))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); (got == args[0]) == neg {
			ts.Fatalf("%s has mode %s", file, got)
		}
	}
}

// countLines N checks how many lines stdout has.
func countLines(ts *testscript.TestScript, _ bool, args []string) {
	if n := strings.Count(ts.ReadFile("stdout"), "\n"); fmt.Sprint(n) != args[0] {
		ts.Fatalf("%d lines on stdout, want %s", n, args[0])
	}
}

// metric DIR LINE... checks that the node of the data folder shows a metric.
func metric(ts *testscript.TestScript, neg bool, args []string) {
	text := ask(ts, args[0], "/metrics")
	if want := strings.Join(args[1:], " "); strings.Contains(text, want+"\n") == neg {
		ts.Fatalf("%s: %s", want, text)
	}
}

// askAPI DIR PATH prints what the API of the node of the data folder answers.
func askAPI(ts *testscript.TestScript, _ bool, args []string) {
	fmt.Fprint(ts.Stdout(), ask(ts, args[0], args[1]))
}

func ask(ts *testscript.TestScript, dir, path string) string {
	s, err := node.ReadState(ts.MkAbs(dir))
	ts.Check(err)
	r, err := http.Get(s.API + path)
	ts.Check(err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	ts.Check(err)
	if r.StatusCode != http.StatusOK {
		ts.Fatalf("GET %s: %s: %s", path, r.Status, text)
	}
	return string(text)
}

// await WHAT N FILE waits until a file has so many lines.
func await(ts *testscript.TestScript, _ bool, args []string) {
	var text []byte
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, _ = os.ReadFile(ts.MkAbs(args[2])) // it may not be there yet
		if fmt.Sprint(strings.Count(string(text), "\n")) == args[1] {
			return
		}
	}
	ts.Fatalf("no %s: %q", args[0], text)
}

// exits CODE COMMAND... checks an exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s exits with %d (%v), want %s", args[1], code, err, args[0])
	}
}

// same A B checks that two texts are equal, without regular expressions.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || (args[0] == args[1]) == neg {
		ts.Fatalf("%q", args)
	}
}
