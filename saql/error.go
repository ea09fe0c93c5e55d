package saql

import "fmt"

// An Error is what is wrong with a script, at its place.
type Error struct {
	At   Pos
	Msg  string // what was found and what was expected
	Hint string // the remedy, or ""
}

func (e *Error) Error() string {
	s := fmt.Sprintf("line %d, column %d: %s", e.At.Line, e.At.Column, e.Msg)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Errorf returns an Error at a place.
func Errorf(at Pos, format string, args ...any) *Error {
	return &Error{At: at, Msg: fmt.Sprintf(format, args...)}
}

// Errors returns all that err joins or wraps, in order.
func Errors(err error) (all []*Error) {
	switch e := err.(type) {
	case *Error:
		return []*Error{e}
	case interface{ Unwrap() error }:
		return Errors(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			all = append(all, Errors(each)...)
		}
	}
	return all
}
