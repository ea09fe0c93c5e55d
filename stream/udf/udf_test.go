package udf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-iot/weir/internal/need"
	"github.com/weir-iot/weir/saql"
)

// The tests run real processes: this binary with Argument.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Argument {
		if err := Main(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience is a limit that no good call comes near.
const patience = time.Minute

func open(t testing.TB, o Options) *Runner {
	t.Helper()
	if o.Time == 0 {
		o.Time = patience
	}
	r, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// text writes a value with its type.
func text(v saql.Value) string {
	switch v.Kind() {
	case saql.KindNull:
		return "NULL"
	case saql.KindBigint:
		return fmt.Sprintf("bigint %d", v.Bigint())
	case saql.KindFloat:
		return fmt.Sprintf("float %v", v.Float())
	case saql.KindBit:
		return fmt.Sprintf("bit %t", v.Bit())
	case saql.KindString:
		return fmt.Sprintf("%q", v.Str())
	case saql.KindDatetime:
		return v.Datetime().String()
	case saql.KindArray:
		var parts []string
		for _, e := range v.Array() {
			parts = append(parts, text(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		var parts []string
		for _, f := range v.Record().Fields {
			parts = append(parts, f.Name+": "+text(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
}

func record(fields ...saql.Field) saql.Value { return saql.RecordValue(&saql.Record{Fields: fields}) }

var noon = saql.TicksOf(time.Date(2026, 3, 1, 12, 0, 0, 123_456_700, time.UTC))

func TestConversions(t *testing.T) {
	const same = "function main(x) { return x }"
	const seen = "function main(x) { return Object.prototype.toString.call(x) + ' ' + JSON.stringify(x) }"
	for name, c := range map[string]struct {
		source string
		arg    saql.Value
		want   string // or, after "error: ", a part of the error
	}{
		"null":              {same, saql.Null, "NULL"},
		"undefined":         {"function main() {}", saql.Null, "NULL"},
		"bigint":            {same, saql.Bigint(-7), "bigint -7"},
		"float":             {same, saql.Float(1.5), "float 1.5"},
		"round float":       {same, saql.Float(3), "bigint 3"},
		"bigint is round":   {same, saql.Bigint(1<<53 + 1), "bigint 9007199254740992"},
		"2**63":             {"function main() { return Math.pow(2, 63) }", saql.Null, "float 9.223372036854776e+18"},
		"-2**63":            {"function main() { return -Math.pow(2, 63) }", saql.Null, "bigint -9223372036854775808"},
		"NaN":               {"function main() { return NaN }", saql.Null, "float NaN"},
		"infinity":          {"function main() { return -1/0 }", saql.Null, "float -Inf"},
		"string":            {same, saql.String("grüße \U0001F30A\x00"), `"grüße 🌊\x00"`},
		"half a character":  {"function main() { return '\\ud83c' }", saql.Null, "\"\ufffd\""},
		"bit":               {same, saql.Bit(true), "bit true"},
		"datetime":          {same, saql.Datetime(noon), "2026-03-01T12:00:00.1230000Z"},
		"local time is UTC": {"function main(x) { return x.getHours() }", saql.Datetime(noon), "bigint 12"},
		"invalid date":      {"function main() { return new Date('?') }", saql.Null, "error: invalid Date"},
		"far date":          {"function main() { return new Date(8e15) }", saql.Null, "error: year 255479"},
		"array":             {same, saql.ArrayValue([]saql.Value{saql.Bigint(1), saql.Null, saql.String("a")}), `[bigint 1, NULL, "a"]`},
		"holes":             {"function main() { return [1,,2] }", saql.Null, "[bigint 1, NULL, bigint 2]"},
		"record":            {same, record(saql.Field{Name: "b", Value: saql.Bigint(1)}, saql.Field{Name: "a", Value: record()}), "{b: bigint 1, a: {}}"},
		"proto":             {same, record(saql.Field{Name: "__proto__", Value: saql.Bigint(1)}), "{__proto__: bigint 1}"},
		"boxed":             {"function main() { return [new Number(1), new String('s'), new Boolean(false)] }", saql.Null, `[bigint 1, "s", bit false]`},
		"regexp":            {"function main() { return /a/ }", saql.Null, "{}"},
		"function":          {"function main() { return main }", saql.Null, "error: Function"},
		"symbol":            {"function main() { return Symbol('s') }", saql.Null, "error: Symbol"},
		"BigInt":            {"function main() { return 1n }", saql.Null, "error: type that queries do not have"},
		"error":             {"function main() { return [new RangeError('r')] }", saql.Null, "error: Error"},
		"promise":           {"async function main() { return 1 }", saql.Null, "error: Promise"},
		"circle":            {"function main() { var a = []; a.push(a); return a }", saql.Null, "error: contains itself"},
		"huge array":        {"function main() { var a = []; a.length = 4e9; return a }", saql.Null, "error: 4000000000 elements"},
		"sees null":         {seen, saql.Null, `"[object Null] null"`},
		"sees a number":     {seen, saql.Bigint(2), `"[object Number] 2"`},
		"sees a boolean":    {seen, saql.Bit(false), `"[object Boolean] false"`},
		"sees a date":       {seen, saql.Datetime(noon), `"[object Date] \"2026-03-01T12:00:00.123Z\""`},
		"sees an array":     {seen, saql.ArrayValue([]saql.Value{saql.Float(0.5)}), `"[object Array] [0.5]"`},
		"sees an object":    {seen, record(saql.Field{Name: "a", Value: saql.String("x")}), `"[object Object] {\"a\":\"x\"}"`},
		"throws":            {"function main(x) {\n  return x.y.z\n}", record(), "error: TypeError: Cannot read property 'z' of undefined (line 2, column 14)"},
		"throws a string":   {"function main(x) { throw 'no' }", saql.Null, "error: no"},
		"getter throws":     {"function main() { return { get a() { throw new Error('got') } } }", saql.Null, "error: got"},
		"endless recursion": {"function main() { return main() }", saql.Null, "error: more than 10000 deep"},
		"large result":      {"function main() { return 'x'.repeat(17 << 20) }", saql.Null, "error: larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, Options{Functions: map[string]string{"f": c.source}})
			got, err := r.Call("f", []saql.Value{c.arg})
			if want, wrong := strings.CutPrefix(c.want, "error: "); wrong {
				if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "udf.f: ") {
					t.Errorf("got %v, %v, want an error with %q", text(got), err, want)
				}
				return
			}
			if err != nil || text(got) != c.want {
				t.Errorf("got %s, %v, want %s", text(got), err, c.want)
			}
		})
	}
}

func TestScriptsAreCalledByTheirFunction(t *testing.T) {
	r := open(t, Options{Functions: map[string]string{
		"main_":    "function helper() { return 0 }\nfunction main() { return helper() + 1 }",
		"hex2Int":  "// Convert Hex value to integer.\nfunction hex2Int(hexValue) { return parseInt(hexValue, 16) }\nfunction other() {}",
		"only":     "function whatever(x, y) { return x + y }",
		"arrow":    "const main = (x) => x * 2",
		"new":      "function f() { return 'reserved' }",
		"dash-ed":  "function g() { return 'dashed' }",
		"Separate": "function main() { return typeof whatever }",
	}})
	for name, want := range map[string]string{
		"main_": "bigint 1", "HEX2INT": "bigint 255", "only": `"ff1"`, "arrow": "float NaN", "new": `"reserved"`,
		"dash-ed": `"dashed"`, "separate": `"undefined"`,
	} {
		got, err := r.Call(name, []saql.Value{saql.String("ff"), saql.Bigint(1)})
		if err != nil || text(got) != want {
			t.Errorf("%s: got %s, %v, want %s", name, text(got), err, want)
		}
	}
	if r.Has("nothing") || r.Function("nothing") != nil || !r.Has("ARROW") {
		t.Error("Has knows other functions than there are")
	}
	if _, err := r.Call("nothing", nil); err == nil {
		t.Error("a function that there is not can be called")
	}
}

func TestBadScriptsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		functions map[string]string
		want      string
	}{
		"syntax":    {map[string]string{"f": "function main( { }"}, "udf.f: "},
		"empty":     {map[string]string{"f": ""}, "name it main or f"},
		"ambiguous": {map[string]string{"f": "function a() {}\nfunction b() {}"}, "name it main or f"},
		"throws":    {map[string]string{"f": "function main() {}\nmissing()"}, "ReferenceError: missing is not defined (line 2, column 8)"},
		"case":      {map[string]string{"f": "function main() {}", "F": "function main() {}"}, "differ in case only"},
		"files":     {map[string]string{"f": "require('fs')\nfunction main() {}"}, "require is not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Start(context.Background(), Options{Functions: c.functions})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

const brief = 300 * time.Millisecond

// What no interrupt reaches is stopped, and the next call goes on.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		limit  time.Duration
		want   string
	}{
		"loop":             {"for (;;) {}", brief, "took longer than 300ms"},
		"loop in a getter": {"return { get a() { for (;;) {} } }", brief, "took longer than 300ms"},
		"regexp":           {"return /^(?=(a+)+b)/.test('a'.repeat(40))", brief, "took longer than 300ms"},
		"array":            {"var a = []; for (;;) a.push(new Array(1000).fill(1.5))", patience, errMemory.Error()},
		"string":           {"var s = 'x'; for (;;) s += s", patience, errMemory.Error()},
		"JSON":             {"return JSON.parse('[' + '[],'.repeat(8 << 20) + '[]]')", patience, errMemory.Error()},
		"native recursion": {"var a = []; for (var i = 0; i < 1e6; i++) a = [a]; return JSON.stringify(a)", patience, errMemory.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if raceEnabled && c.want == errMemory.Error() {
				return // the race detector's memory has no limit
			}
			need.That(t, runtime.GOOS == "linux" || c.want != errMemory.Error(), "Linux, which can limit the memory of a process")
			r := open(t, Options{Time: c.limit, Memory: 64 << 20, Functions: map[string]string{
				"f": "function main(bad) { if (!bad) return 'fine'; " + c.source + " }",
			}})
			if _, err := r.Call("f", []saql.Value{saql.Bit(true)}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			r.options.Time = patience
			if got, err := r.Call("f", nil); err != nil || got.Str() != "fine" {
				t.Errorf("afterwards got %s, %v", text(got), err)
			}
		})
	}
}

// A call does not pay for what earlier ones left behind.
func TestEveryCallHasItsMemory(t *testing.T) {
	if raceEnabled {
		return // the race detector's memory has no limit
	}
	need.That(t, runtime.GOOS == "linux", "Linux, which can limit the memory of a process")
	r := open(t, Options{Memory: 64 << 20, Functions: map[string]string{
		"f": "var kept = []; function main() { kept.push(new ArrayBuffer(30 << 20)); return kept.length }",
	}})
	restarts, last := 0, int64(0)
	for range 12 {
		got, err := r.Call("f", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Bigint() <= last {
			restarts++
		}
		last = got.Bigint()
	}
	if restarts == 0 {
		t.Error("all fits into the memory: the test tests nothing")
	}
}

func TestCallOutlivesItsProcess(t *testing.T) {
	r := open(t, Options{Functions: map[string]string{"f": "function main() { return 1 }"}})
	if err := r.child.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Call("f", nil); err != nil || got.Bigint() != 1 {
		t.Errorf("got %s, %v", text(got), err)
	}
}

func TestScriptThatDoesNotEndIsRefused(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(brief, cancel)
	if _, err := Start(ctx, Options{Functions: map[string]string{"f": "for (;;) {}"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestEndOfContextStopsCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Start(ctx, Options{Time: patience, Functions: map[string]string{"f": "function main() { for (;;) {} }"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	time.AfterFunc(brief, cancel)
	for range 2 {
		if _, err := r.Call("f", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestClosedRunnerFails(t *testing.T) {
	r := open(t, Options{Functions: map[string]string{"f": "function main() {}"}})
	f := r.Function("f")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f(nil); err == nil {
		t.Error("a closed runner calls")
	}
}

func TestConcurrentCalls(t *testing.T) {
	r := open(t, Options{Functions: map[string]string{"f": "function main(x) { return x + 1 }"}})
	var wg sync.WaitGroup
	for g := range int64(4) {
		wg.Go(func() {
			for i := range int64(200) {
				n := g*1000 + i
				if got, err := r.Call("f", []saql.Value{saql.Bigint(n)}); err != nil || got.Bigint() != n+1 {
					t.Errorf("got %s, %v, want %d", text(got), err, n+1)
				}
			}
		})
	}
	wg.Wait()
}

func TestEnvironmentIsEmpty(t *testing.T) {
	t.Setenv("SECRET", "s")
	r := open(t, Options{Functions: map[string]string{"f": "function main() { return 1 }"}})
	for _, e := range r.child.cmd.Env {
		if strings.Contains(e, "SECRET") {
			t.Errorf("the child has %s", e)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	r := open(b, Options{Functions: map[string]string{"f": "function main(x) { return x * 1.8 + 32 }"}})
	args := []saql.Value{saql.Float(20.5)}
	for b.Loop() {
		if _, err := r.Call("f", args); err != nil {
			b.Fatal(err)
		}
	}
}
