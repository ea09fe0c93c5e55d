package saql

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTables runs testdata/func_*.txt: one case a line, an expression, => and
// the expected value (an expression, too; its type counts) or "error" and words
// of the message. Expressions are literals, calls and chains of operators
// without precedence; b'1' is a bit, t'…' a datetime,
// j'…' a JSON value.
func TestTables(t *testing.T) {
	files, err := filepath.Glob("testdata/func_*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { runTable(t, file) })
	}
}

func runTable(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		expr, want, ok := strings.Cut(line, " => ")
		if !ok {
			t.Fatalf("%s:%d: no =>", file, n)
		}
		if msg := checkCase(expr, strings.TrimSpace(want)); msg != "" {
			t.Errorf("%s:%d: %s: %s", file, n, expr, msg)
		}
	}
}

func checkCase(expr, want string) string {
	got, err := evalText(expr)
	if words, fails := strings.CutPrefix(want, "error"); fails {
		if err == nil {
			return fmt.Sprintf("got %s, want an error", show(got))
		}
		if !strings.Contains(err.Error(), strings.TrimSpace(words)) {
			return fmt.Sprintf("got error %q, want %q in it", err, words)
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	wanted, err := evalText(want)
	if err != nil {
		return "in the expectation: " + err.Error()
	}
	if !Identical(got, wanted) {
		return fmt.Sprintf("got %s, want %s", show(got), show(wanted))
	}
	return ""
}

func show(v Value) string {
	switch v.kind {
	case KindBigint:
		return "bigint " + strconv.FormatInt(v.Bigint(), 10)
	case KindFloat:
		return "float " + strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case KindString:
		return strconv.Quote(v.Str())
	case KindDatetime:
		return v.Datetime().String()
	case KindBit:
		return fmt.Sprintf("bit %t", v.Bit())
	case KindRecord:
		var b []string
		for _, f := range v.Record().Fields {
			b = append(b, "{"+f.Name+" "+show(f.Value)+"}")
		}
		return "record [" + strings.Join(b, " ") + "]"
	case KindArray:
		var b []string
		for _, e := range v.Array() {
			b = append(b, show(e))
		}
		return "array [" + strings.Join(b, " ") + "]"
	}
	return "NULL"
}

// evalText evaluates the expressions of the tables.
func evalText(text string) (v Value, err error) {
	e := tableExpr{text: text}
	defer func() {
		if bad, ok := recover().(syntaxError); ok {
			v, err = Null, fmt.Errorf("table syntax: %s in %q", string(bad), text)
		}
	}()
	v, err = e.chain()
	if e.space(); err == nil && e.text != "" {
		panic(syntaxError("text behind the expression: " + e.text))
	}
	return v, err
}

type syntaxError string

type tableExpr struct{ text string }

func (e *tableExpr) space() { e.text = strings.TrimLeft(e.text, " ") }

func (e *tableExpr) take(s string) bool {
	e.space()
	rest, ok := strings.CutPrefix(e.text, s)
	if ok {
		e.text = rest
	}
	return ok
}

var tableOps = []struct {
	name string
	eval func(a, b Value) (Value, error)
}{
	{"<=", Le}, {">=", Ge}, {"<>", Ne}, {"=", Eq}, {"<", Lt}, {">", Gt},
	{"+", Add}, {"-", Sub}, {"*", Mul}, {"/", Div}, {"%", Mod},
	{"&", BitAnd}, {"|", BitOr}, {"^", BitXor},
	{"AND ", And}, {"OR ", Or}, {"LIKE ", MatchLike},
}

func (e *tableExpr) chain() (Value, error) {
	v, err := e.operand()
	for err == nil {
		op := slices.IndexFunc(tableOps, func(op struct {
			name string
			eval func(a, b Value) (Value, error)
		}) bool {
			return e.take(op.name)
		})
		if op < 0 {
			return v, nil
		}
		var w Value
		if w, err = e.operand(); err == nil {
			v, err = tableOps[op].eval(v, w)
		}
	}
	return Null, err
}

func (e *tableExpr) operand() (Value, error) {
	e.space()
	switch {
	case e.take("("):
		v, err := e.chain()
		if err == nil && !e.take(")") {
			panic(syntaxError("expected )"))
		}
		return v, err
	case e.take("NOT "):
		return e.unary(Not)
	case e.take("~"):
		return e.unary(BitNot)
	case e.take("-("):
		e.text = "(" + e.text
		return e.unary(Neg)
	case e.take("'"):
		return String(e.quoted()), nil
	case e.take("b'"):
		return Bit(e.quoted() == "1"), nil
	case e.take("t'"):
		d, err := ParseDatetime(e.quoted())
		return Datetime(d), err
	case e.take("j'"):
		r, err := parseRecord(`{"v":` + e.quoted() + `}`)
		return r.at([]string{"v"}), err
	case e.text != "" && (isDigit(e.text[0]) || e.text[0] == '-'):
		return e.number(), nil
	}
	return e.word()
}

func (e *tableExpr) unary(f func(Value) (Value, error)) (Value, error) {
	v, err := e.operand()
	if err != nil {
		return Null, err
	}
	return f(v)
}

// quoted reads up to the closing quote; two quotes are one.
func (e *tableExpr) quoted() string {
	var b strings.Builder
	for {
		part, rest, ok := strings.Cut(e.text, "'")
		if !ok {
			panic(syntaxError("expected '"))
		}
		b.WriteString(part)
		e.text = rest
		if !strings.HasPrefix(rest, "'") {
			return b.String()
		}
		b.WriteByte('\'')
		e.text = rest[1:]
	}
}

func (e *tableExpr) number() Value {
	n := 1
	for n < len(e.text) && (isDigit(e.text[n]) || strings.IndexByte(".eE", e.text[n]) >= 0 ||
		strings.IndexByte("+-", e.text[n]) >= 0 && strings.IndexByte("eE", e.text[n-1]) >= 0) {
		n++
	}
	s := e.text[:n]
	e.text = e.text[n:]
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Bigint(i)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(syntaxError("no number: " + s))
	}
	return Float(f)
}

// word reads NULL, NaN, Infinity, MIN, MAX or a call.
func (e *tableExpr) word() (Value, error) {
	n := 0
	for n < len(e.text) && (e.text[n] == '_' || e.text[n]|0x20 >= 'a' && e.text[n]|0x20 <= 'z') {
		n++
	}
	name := e.text[:n]
	e.text = e.text[n:]
	switch name {
	case "NULL":
		return Null, nil
	case "NaN":
		return Float(math.NaN()), nil
	case "Infinity":
		return Float(math.Inf(1)), nil
	case "MIN":
		return Bigint(math.MinInt64), nil
	case "MAX":
		return Bigint(math.MaxInt64), nil
	}
	if !e.take("(") {
		panic(syntaxError("unknown word " + name))
	}
	if name == "CAST" || name == "TRY_CAST" {
		return e.cast(name == "TRY_CAST")
	}
	return e.call(name)
}

func (e *tableExpr) cast(try bool) (Value, error) {
	v, err := e.chain()
	if err != nil {
		return Null, err
	}
	if !e.take("AS ") {
		panic(syntaxError("expected AS"))
	}
	for k := KindBigint; k <= KindArray; k++ {
		if e.take(k.String() + ")") {
			if try {
				return TryConvert(v, k), nil
			}
			return Convert(v, k)
		}
	}
	panic(syntaxError("unknown type"))
}

func (e *tableExpr) call(name string) (Value, error) {
	f, ok := LookupFunction(name)
	if !ok {
		panic(syntaxError("unknown function " + name))
	}
	var args []Value
	for len(args) == 0 || e.take(",") {
		if f.Unit && len(args) == 0 {
			n := strings.IndexAny(e.text, ",)")
			args = append(args, String(e.text[:n]))
			e.text = e.text[n:]
			continue
		}
		v, err := e.chain()
		if err != nil {
			return Null, err
		}
		args = append(args, v)
	}
	if !e.take(")") {
		panic(syntaxError("expected )"))
	}
	if len(args) < f.MinArgs || f.MaxArgs >= 0 && len(args) > f.MaxArgs {
		panic(syntaxError("wrong number of arguments"))
	}
	if i, ok := f.Pattern(); ok && args[i].kind == KindString {
		eval, err := f.Bind(args[i].Str())
		if err != nil {
			return Null, err
		}
		bound, _ := eval(args)
		if v, err := f.Eval(args); err != nil || !Identical(v, bound) {
			return Null, fmt.Errorf("bound %s, evaluated %s: %v", show(bound), show(v), err)
		}
	}
	return f.Eval(args)
}

func TestFunctionTable(t *testing.T) {
	names := Functions()
	if !slices.IsSorted(names) {
		t.Error("names are not sorted")
	}
	for _, name := range names {
		f, ok := LookupFunction(strings.ToLower(name))
		if !ok || f.Name != name {
			t.Errorf("%s is not found in lower case", name)
		}
		if len(f.Params) == 0 || f.MinArgs < 1 || f.MaxArgs >= 0 && f.MaxArgs < f.MinArgs {
			t.Errorf("%s: impossible arguments", name)
		}
		// Of NULLs, every function makes NULL, but for the two that join texts.
		got, err := f.Eval(make([]Value, f.MinArgs))
		if err != nil || !got.IsNull() && !strings.HasPrefix(name, "CONCAT") {
			t.Errorf("%s of NULLs: %s, %v", name, show(got), err)
		}
	}
}
