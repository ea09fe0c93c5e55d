package udf

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/parser"

	"github.com/weir-iot/weir/saql"
)

// A script is one function with its own global scope.
type script struct {
	vm    *goja.Runtime
	entry goja.Callable
	date  *goja.Object // the constructor, whatever the script makes of that name
}

// maxCalls is how deep functions may call each other.
const maxCalls = 10_000

func load(name, source string) (*script, error) {
	tree, err := goja.Parse(name+".js", source, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, err
	}
	program, err := goja.CompileAST(tree, false)
	if err != nil {
		return nil, err
	}
	vm := goja.New()
	vm.SetMaxCallStackSize(maxCalls)
	s := &script{vm: vm, date: vm.Get("Date").ToObject(vm)}
	if _, err := vm.RunProgram(program); err != nil {
		return nil, describe(err)
	}
	s.entry, err = s.find(name, tree)
	return s, err
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// find returns the function to call: main, the one of the script's own name, or
// the only one that is declared.
func (s *script) find(name string, tree *ast.Program) (goja.Callable, error) {
	var declared []string
	for _, statement := range tree.Body {
		if f, ok := statement.(*ast.FunctionDeclaration); ok {
			declared = append(declared, f.Function.Name.Name.String())
		}
	}
	candidates := []string{"main", name}
	if len(declared) == 1 {
		candidates = append(candidates, declared[0])
	}
	for _, c := range candidates {
		if !identifier.MatchString(c) {
			continue
		}
		v, err := s.vm.RunString("typeof " + c + " === 'function' ? " + c + " : undefined")
		if err != nil {
			continue // c is a reserved word
		}
		if f, ok := goja.AssertFunction(v); ok {
			return f, nil
		}
	}
	return nil, fmt.Errorf("found no function to call: name it main or %s", name)
}

// call calls the function of the script.
func (s *script) call(args []saql.Value) (saql.Value, error) {
	var v saql.Value
	var failed error
	if err := s.vm.Try(func() {
		values := make([]goja.Value, len(args))
		for i, a := range args {
			values[i] = s.toJS(a)
		}
		var result goja.Value
		if result, failed = s.entry(goja.Undefined(), values...); failed == nil {
			v, failed = s.fromJS(result, saql.MaxDepth)
		}
	}); err != nil {
		failed = err
	}
	return v, describe(failed)
}

// describe shortens an exception to what was thrown, and where.
func describe(err error) error {
	var deep *goja.StackOverflowError
	var thrown *goja.Exception
	switch {
	case errors.As(err, &deep):
		return fmt.Errorf("functions call each other more than %d deep", maxCalls)
	case errors.As(err, &thrown):
		text := thrown.Error()
		if v := thrown.Value(); v != nil {
			text = v.String()
		}
		for _, frame := range thrown.Stack() {
			if at := frame.Position(); at.Line > 0 {
				return fmt.Errorf("%s (line %d, column %d)", text, at.Line, at.Column)
			}
		}
		return errors.New(text)
	}
	return err
}
