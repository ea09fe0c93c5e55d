// Package twinquery is the query language of Azure IoT Hub over device and
// module twins: lexer, parser, printer and evaluator. It is pure: the caller
// brings the documents, one at a time and in the order that it likes, and a
// query keeps no more of them than its groups.
//
// It promises that what Parse accepts prints to a text that parses to the same
// query, and that evaluation never fails: what makes no sense for a document
// is undefined, and a row whose condition is undefined is not selected. It
// leaves out joins, DISTINCT, ORDER BY and devices.jobs, as nothing in IoT
// Hub's REST API needs them of a hub without jobs.
//
// The language is documented in "IoT Hub query language for device and module
// twins, jobs, and message routing". Equality between different JSON types is
// false (so that "tags.a != null" selects what has a value), every other
// comparison between them is undefined.
package twinquery

import (
	"fmt"
	"unicode/utf8"
)

const (
	// MaxLength bounds the text of a query in bytes: IoT Hub's own limit.
	MaxLength = 8192
	// MaxDepth bounds how deep expressions nest.
	MaxDepth = 64
)

// A Query is a parsed and checked query. It does not change and is safe for
// concurrent use.
type Query struct {
	Top     int    // at most so many rows; 0: no bound
	Items   []Item // what each row has; nil is *
	From    Collection
	Alias   string // another name of From, or ""
	Where   Expr   // nil selects all
	GroupBy []*Path

	aggregates bool
	fields     []string // the names of Items
}

// A Collection is what a query reads.
type Collection string

// The collections of a hub.
const (
	Devices Collection = "devices"
	Modules Collection = "devices.modules"
)

// An Item is one field of the rows.
type Item struct {
	Expr Expr
	As   string // the alias, or ""
}

// An Error says where a query is wrong. Line and Column count from 1, the
// column in characters.
type Error struct {
	Line, Column int
	Message      string
}

func (e *Error) Error() string {
	if e.Line == 1 {
		return fmt.Sprintf("twinquery: column %d: %s", e.Column, e.Message)
	}
	return fmt.Sprintf("twinquery: line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Parse parses and checks a query. The error is an *Error.
func Parse(src string) (*Query, error) {
	if len(src) > MaxLength {
		return nil, &Error{1, 1, fmt.Sprintf("the query has %d bytes, at most %d are allowed", len(src), MaxLength)}
	}
	if !utf8.ValidString(src) {
		return nil, &Error{1, 1, "the query is not valid UTF-8"}
	}
	p := &parser{lexer: lexer{src: src}}
	q, err := p.query()
	if err == nil {
		err = check(q)
	}
	if err != nil {
		return nil, locate(src, err)
	}
	return q, nil
}

// Whole says that the rows are the documents themselves: SELECT *.
func (q *Query) Whole() bool { return q.Items == nil }

// Aggregates says that rows are made of many documents: use Groups.
func (q *Query) Aggregates() bool { return q.aggregates }
