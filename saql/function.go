package saql

import (
	"fmt"
	"slices"
	"strings"
)

// A Function is a scalar function of the language.
type Function struct {
	Name             string // in capitals, but for names such as GetType
	MinArgs, MaxArgs int    // MaxArgs is -1 where there is no limit
	// Params are the kinds that each argument may have besides NULL; the last
	// entry counts for all arguments that follow.
	Params []Kinds
	// Unit says that the first argument is the name of a Unit, not an expression.
	Unit bool

	takesNull bool // else a NULL argument makes the result NULL
	eval      func(args []Value) (Value, error)
	// bind, if not nil, prepares eval for a constant argument at index pattern.
	bind    func(pattern string) (func(args []Value) (Value, error), error)
	pattern int
}

// Kinds is a set of kinds.
type Kinds uint16

const (
	anyKind   = Kinds(1<<(KindArray+1) - 1)
	number    = Kinds(1<<KindBigint | 1<<KindFloat)
	bigint    = Kinds(1 << KindBigint)
	text      = Kinds(1 << KindString)
	moment    = Kinds(1<<KindDatetime | 1<<KindString)
	textual   = text | number | 1<<KindDatetime
	records   = Kinds(1 << KindRecord)
	arrays    = Kinds(1 << KindArray)
	unlimited = -1
)

// Has reports that k is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

func (s Kinds) String() string {
	var names []string
	for k := KindBigint; k <= KindArray; k++ {
		if s.Has(k) {
			names = append(names, "'"+k.String()+"'")
		}
	}
	return strings.Join(names, " or ")
}

// Param returns the kinds that argument i (from 0) may have besides NULL.
func (f *Function) Param(i int) Kinds { return f.Params[min(i, len(f.Params)-1)] }

// Eval calls the function; the number of arguments is the caller's promise. An
// argument of a wrong kind is an error, a NULL makes the result NULL unless the
// function says otherwise. The result may share memory with the arguments.
func (f *Function) Eval(args []Value) (Value, error) {
	null, err := f.check(args)
	if err != nil || null {
		return Null, err
	}
	return f.eval(args)
}

// Pattern returns the index of the argument that is a pattern, if there is one:
// where it is constant, Bind saves compiling it at every call.
func (f *Function) Pattern() (index int, ok bool) { return f.pattern, f.bind != nil }

// Bind returns Eval for a constant pattern; it takes all arguments, as Eval
// does. The error is that of a pattern that cannot be compiled.
func (f *Function) Bind(pattern string) (func(args []Value) (Value, error), error) {
	eval, err := f.bind(pattern)
	if err != nil {
		return nil, err
	}
	bound := *f
	bound.eval = eval
	return bound.Eval, nil
}

// check reports that a NULL settles the result.
func (f *Function) check(args []Value) (null bool, err error) {
	for i, a := range args {
		switch {
		case a.kind == KindNull:
			null = !f.takesNull
		case !f.Param(i).Has(a.kind):
			return false, fmt.Errorf("argument %d of %s is of type '%s'; expected %s", i+1, f.Name, a.kind, f.Param(i))
		}
	}
	return null, nil
}

// LookupFunction returns the scalar function of that name, in any case.
func LookupFunction(name string) (*Function, bool) {
	f, ok := functionIndex[strings.ToUpper(name)]
	return f, ok
}

// Functions returns the names of all scalar functions, sorted.
func Functions() []string {
	var names []string
	for i := range functions {
		names = append(names, functions[i].Name)
	}
	slices.Sort(names)
	return names
}

var functionIndex = indexFunctions()

func indexFunctions() map[string]*Function {
	index := make(map[string]*Function, len(functions))
	for i := range functions {
		index[strings.ToUpper(functions[i].Name)] = &functions[i]
	}
	return index
}

// functions is the table of all scalar functions, by family.
var functions = [...]Function{
	{Name: "ABS", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: abs},
	{Name: "CEILING", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: ceiling},
	{Name: "EXP", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: exp},
	{Name: "FLOOR", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: floor},
	{Name: "POWER", MinArgs: 2, MaxArgs: 2, Params: []Kinds{number}, eval: power},
	{Name: "ROUND", MinArgs: 2, MaxArgs: 2, Params: []Kinds{number, bigint}, eval: round},
	{Name: "SIGN", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: sign},
	{Name: "SQRT", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: sqrt},
	{Name: "SQUARE", MinArgs: 1, MaxArgs: 1, Params: []Kinds{number}, eval: square},

	{Name: "CHARINDEX", MinArgs: 2, MaxArgs: 3, Params: []Kinds{text, text, bigint}, eval: charIndex},
	{Name: "CONCAT", MinArgs: 2, MaxArgs: unlimited, Params: []Kinds{textual}, takesNull: true, eval: concat},
	{Name: "CONCAT_WS", MinArgs: 3, MaxArgs: unlimited, Params: []Kinds{textual}, takesNull: true, eval: concatWS},
	{Name: "LEFT", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text, bigint}, eval: left},
	{Name: "LEN", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: length},
	{Name: "LOWER", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: lower},
	{Name: "LTRIM", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: leftTrim},
	{Name: "NCHAR", MinArgs: 1, MaxArgs: 1, Params: []Kinds{bigint}, eval: nchar},
	{Name: "PATINDEX", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text}, eval: patIndex, bind: bindPatIndex, pattern: 0},
	{Name: "REGEXMATCH", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text}, eval: regexMatch, bind: bindRegexMatch, pattern: 1},
	{Name: "REPLACE", MinArgs: 3, MaxArgs: 3, Params: []Kinds{text}, eval: replace},
	{Name: "REPLICATE", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text, bigint}, eval: replicate},
	{Name: "REVERSE", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: reverse},
	{Name: "RIGHT", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text, bigint}, eval: right},
	{Name: "RTRIM", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: rightTrim},
	{Name: "SPACE", MinArgs: 1, MaxArgs: 1, Params: []Kinds{bigint}, eval: space},
	{Name: "STUFF", MinArgs: 4, MaxArgs: 4, Params: []Kinds{text, bigint, bigint, text}, eval: stuff},
	{Name: "SUBSTRING", MinArgs: 3, MaxArgs: 3, Params: []Kinds{text, bigint}, eval: substring},
	{Name: "TRANSLATE", MinArgs: 3, MaxArgs: 3, Params: []Kinds{text}, eval: translate},
	{Name: "TRIM", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: trim},
	{Name: "UNICODE", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: unicodeOf},
	{Name: "UPPER", MinArgs: 1, MaxArgs: 1, Params: []Kinds{text}, eval: upper},

	{Name: "DATEADD", MinArgs: 3, MaxArgs: 3, Params: []Kinds{text, number, moment}, Unit: true, eval: dateAdd},
	{Name: "DATEDIFF", MinArgs: 3, MaxArgs: 3, Params: []Kinds{text, moment}, Unit: true, eval: dateDiff},
	{Name: "DATENAME", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text, moment}, Unit: true, eval: dateName},
	{Name: "DATEPART", MinArgs: 2, MaxArgs: 2, Params: []Kinds{text, moment}, Unit: true, eval: datePart},
	{Name: "DATETIMEFROMPARTS", MinArgs: 7, MaxArgs: 7, Params: []Kinds{bigint}, eval: datetimeFromParts},
	{Name: "DAY", MinArgs: 1, MaxArgs: 1, Params: []Kinds{moment}, eval: partOf(UnitDay)},
	{Name: "MONTH", MinArgs: 1, MaxArgs: 1, Params: []Kinds{moment}, eval: partOf(UnitMonth)},
	{Name: "YEAR", MinArgs: 1, MaxArgs: 1, Params: []Kinds{moment}, eval: partOf(UnitYear)},

	{Name: "COALESCE", MinArgs: 2, MaxArgs: unlimited, Params: []Kinds{anyKind}, takesNull: true, eval: coalesce},
	{Name: "GetType", MinArgs: 1, MaxArgs: 1, Params: []Kinds{anyKind}, eval: getType},
	{Name: "JSON_PARSE", MinArgs: 1, MaxArgs: 1, Params: []Kinds{anyKind}, eval: jsonParse},
	{Name: "NULLIF", MinArgs: 2, MaxArgs: 2, Params: []Kinds{anyKind}, takesNull: true, eval: nullIf},

	{Name: "GetArrayElement", MinArgs: 2, MaxArgs: 2, Params: []Kinds{arrays, bigint}, eval: getArrayElement},
	{Name: "GetArrayLength", MinArgs: 1, MaxArgs: 1, Params: []Kinds{arrays}, eval: getArrayLength},
	{Name: "GetRecordPropertyValue", MinArgs: 2, MaxArgs: 2, Params: []Kinds{records, text}, eval: getRecordPropertyValue},
}
