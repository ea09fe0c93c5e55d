// Package saql is the Stream Analytics Query Language: lexer, parser, checker,
// printer, values and scalar functions. It is pure: no goroutine, clock or I/O.
//
// It promises that parse → print → parse is the identity, that every error
// names its place and what was expected, and that values behave as the engine
// of Azure Stream Analytics does (coercion, overflow, NULL, text forms). It
// leaves out how queries run: package stream compiles a Script to operators.
package saql
