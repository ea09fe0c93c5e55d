package stream

import (
	"strings"

	"github.com/weir-iot/weir/saql"
)

// call compiles a function call that the scope knows nothing special of.
func (c *compiler) call(sc *scope, e *saql.Call) (*operand, error) {
	name := strings.ToLower(e.Name)
	switch {
	case name == "system.timestamp":
		if len(e.Args) > 0 {
			return nil, saql.Errorf(e.At, "System.Timestamp() takes no argument")
		}
		return &operand{eval: timestamp}, nil
	case name == "system.window":
		err := saql.Errorf(e.At, "System.Window() without GROUP BY")
		err.Hint = "it is what SELECT with GROUP BY and a window knows"
		return nil, err
	case name == "getmetadatapropertyvalue":
		return c.metadata(sc, e)
	case strings.HasPrefix(name, "udf."):
		return c.udf(sc, e)
	case isAggregate(name):
		err := saql.Errorf(e.At, "aggregate %s in this place", e.Name)
		err.Hint = "aggregates stand in SELECT and HAVING of a query with GROUP BY"
		return nil, err
	case e.Over != nil:
		return nil, saql.Errorf(e.Over.At, "OVER is not for the function %s", e.Name)
	}
	if _, isWindow, _ := saql.ParseWindow(e); isWindow {
		return nil, saql.Errorf(e.At, "window %s outside of GROUP BY", e.Name)
	}
	return c.scalar(sc, e)
}

// udf compiles a call of a user-defined function.
func (c *compiler) udf(sc *scope, e *saql.Call) (*operand, error) {
	name := e.Name[len("udf."):]
	var f func([]saql.Value) (saql.Value, error)
	if c.env.Functions != nil {
		f = c.env.Functions.Function(name)
	}
	if f == nil {
		return nil, saql.Errorf(e.At, "unknown user-defined function %s", e.Name)
	}
	args, err := c.exprs(sc, e.Args)
	if err != nil {
		return nil, err
	}
	return &operand{eval: callWith(f, args, e.At)}, nil
}

// metadata compiles GetMetadataPropertyValue(input, 'IoTHub.ConnectionDeviceId').
func (c *compiler) metadata(sc *scope, e *saql.Call) (*operand, error) {
	if len(e.Args) != 2 {
		err := saql.Errorf(e.At, "GetMetadataPropertyValue takes 2 arguments, not %d", len(e.Args))
		err.Hint = "write GetMetadataPropertyValue(input, 'EventId')"
		return nil, err
	}
	col, _ := e.Args[0].(*saql.Column)
	lit, _ := e.Args[1].(*saql.Literal)
	if col == nil || len(col.Path) != 1 || sc.source(col.Path[0].Text) == nil {
		return nil, saql.Errorf(e.Args[0].Pos(), "the first argument of GetMetadataPropertyValue is not an input of FROM")
	}
	msgs, ok := metadataOf(sc.source(col.Path[0].Text).rel)
	if !ok {
		return nil, saql.Errorf(e.Args[0].Pos(), "%s is a result of a query, whose rows have no metadata", col.Path[0].Text)
	}
	if lit == nil || lit.Value.Kind() != saql.KindString {
		return nil, saql.Errorf(e.Args[1].Pos(), "the name of a metadata property is not a constant string")
	}
	return located(msgs.metadata(metadataPath(lit.Value.Str()))), nil
}

// metadataPath splits a name such as [User].[my.property] or IoTHub.EnqueuedTime.
func metadataPath(s string) []string {
	var path []string
	for s != "" {
		s = strings.TrimPrefix(s, ".")
		if inner, ok := strings.CutPrefix(s, "["); ok {
			name, rest, closed := strings.Cut(inner, "]")
			if closed {
				path, s = append(path, name), rest
				continue
			}
		}
		name, rest, _ := strings.Cut(s, ".")
		path, s = append(path, name), rest
	}
	return path
}
