package saql

import (
	"fmt"
	"slices"
	"strings"
)

// A WindowKind is how a window groups events in time.
type WindowKind uint8

// The kinds of windows.
const (
	WindowTumbling WindowKind = iota + 1
	WindowHopping
	WindowSliding
	WindowSession
	WindowSnapshot // events of the same time: System.Timestamp()
	WindowUnion    // Windows(…): the results of all in List
)

// A Window is a window of GROUP BY. Tumbling and hopping windows end at whole
// multiples of Hop after Offset and hold what is after their begin, up to and
// with their end.
type Window struct {
	At          Pos
	Kind        WindowKind
	ID          string   // of Window('id', …), "" without
	Size        Ticks    // tumbling, hopping and sliding: the length
	Hop         Ticks    // tumbling: Size
	Offset      Ticks    // tumbling and hopping; may be negative
	Timeout     Ticks    // session: the longest gap
	MaxDuration Ticks    // session: the length that is checked at its multiples
	PartitionBy []Expr   // session: keys that have sessions of their own
	List        []Window // union
}

// windowNames lists the functions that are windows, with the parts of each: the
// functions of the long form, in the order of the numbers of the short one.
var windowNames = []struct {
	name     string
	kind     WindowKind
	parts    []string
	required int
}{
	{"Tumbling", WindowTumbling, []string{"Duration", "Offset"}, 1},
	{"Hopping", WindowHopping, []string{"Duration", "Hop", "Offset"}, 2},
	{"Sliding", WindowSliding, []string{"Duration"}, 1},
	{"Session", WindowSession, []string{"Timeout", "MaxDuration"}, 2},
	{"Windows", WindowUnion, nil, 0},
}

// ParseWindow reads a call as a window of GROUP BY, in any of its spellings:
// TumblingWindow or Tumbling, (unit, n, …) or (Duration(unit, n), …). It reports
// false for a call that is no window, which System.Timestamp() is not by itself
// (see Select.Window). Lengths are constants of at most 7 days.
func ParseWindow(c *Call) (Window, bool, error) {
	w := Window{At: c.At}
	for _, n := range windowNames {
		if !strings.EqualFold(c.Name, n.name) && !strings.EqualFold(c.Name, n.name+"Window") {
			continue
		}
		w.Kind = n.kind
		if err := w.parseOver(c); err != nil {
			return w, true, err
		}
		if w.Kind == WindowUnion {
			return w, true, w.parseList(c)
		}
		parts, err := windowParts(c, n.parts, n.required)
		if err == nil {
			w.setParts(parts)
		}
		return w, true, err
	}
	return w, false, nil
}

func (w *Window) parseOver(c *Call) error {
	switch o := c.Over; {
	case o == nil:
	case w.Kind != WindowSession:
		return Errorf(o.At, "%s takes no OVER", c.Name)
	case o.OrderBy != nil, o.Limit != nil, o.When != nil:
		return Errorf(o.At, "OVER of %s takes PARTITION BY only", c.Name)
	default:
		w.PartitionBy = o.PartitionBy
	}
	return nil
}

// windowParts returns the lengths that the arguments give, 0 for those that are
// not given.
func windowParts(c *Call, names []string, required int) ([]Ticks, error) {
	args, unit, err := splitUnit(c.Args)
	if err != nil {
		return nil, err
	}
	if len(args) < required || len(args) > len(names) || c.Distinct {
		return nil, windowUsage(c, names, required)
	}
	parts := make([]Ticks, len(names))
	for i, arg := range args {
		u, n := unit, arg
		if _, isCall := arg.(*Call); isCall || unit == 0 {
			u, n, err = windowPart(arg, names[i])
		}
		if err == nil && names[i] == "Offset" {
			parts[i], err = duration(u, n)
		} else if err == nil {
			parts[i], err = positive(u, n)
		}
		if err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// splitUnit takes the unit off the arguments of the short form; that of the
// long form is 0.
func splitUnit(args []Expr) ([]Expr, Unit, error) {
	if len(args) == 0 {
		return args, 0, nil
	}
	column, ok := args[0].(*Column)
	if !ok {
		return args, 0, nil
	}
	u, err := unitArg(column)
	return args[1:], u, err
}

// windowPart reads name(unit, n).
func windowPart(e Expr, name string) (Unit, Expr, error) {
	c, ok := e.(*Call)
	if !ok || !strings.EqualFold(c.Name, name) || len(c.Args) != 2 {
		return 0, nil, Errorf(e.Pos(), "unexpected %s, expected %s(unit, n)", ExprString(e), name)
	}
	u, err := unitArg(c.Args[0])
	return u, c.Args[1], err
}

// unitArg reads an argument as a unit of time.
func unitArg(e Expr) (Unit, error) {
	column, ok := e.(*Column)
	if !ok || len(column.Path) != 1 {
		return 0, Errorf(e.Pos(), "unexpected %s, expected a unit of time", ExprString(e))
	}
	return durationUnit(column.Path[0])
}

// windowUsage tells the short form of a window.
func windowUsage(c *Call, names []string, required int) error {
	usage := "unit"
	for i, name := range names {
		if i < required {
			usage += ", " + name
		} else {
			usage += "[, " + name + "]"
		}
	}
	return &Error{c.At, fmt.Sprintf("wrong number of arguments of %s", c.Name), fmt.Sprintf("%s(%s)", c.Name, usage)}
}

func (w *Window) setParts(parts []Ticks) {
	switch w.Kind {
	case WindowTumbling:
		w.Size, w.Hop, w.Offset = parts[0], parts[0], parts[1]
	case WindowHopping:
		w.Size, w.Hop, w.Offset = parts[0], parts[1], parts[2]
	case WindowSliding:
		w.Size = parts[0]
	case WindowSession:
		w.Timeout, w.MaxDuration = parts[0], parts[1]
	}
}

// parseList reads the windows of Windows(…).
func (w *Window) parseList(c *Call) error {
	if len(c.Args) == 0 || c.Distinct {
		return Errorf(c.At, "Windows takes one window or more")
	}
	for _, arg := range c.Args {
		each, named, err := parseListed(arg)
		if err != nil {
			return err
		}
		switch {
		case len(w.List) > 0 && named != (w.List[0].ID != ""):
			return Errorf(arg.Pos(), "either all windows of Windows have an id or none has")
		case named && slices.ContainsFunc(w.List, func(l Window) bool { return strings.EqualFold(l.ID, each.ID) }):
			return Errorf(arg.Pos(), "two windows of Windows have the id %s", quoteString(each.ID))
		}
		w.List = append(w.List, each)
	}
	return nil
}

// parseListed reads a window or Window('id', window).
func parseListed(e Expr) (w Window, named bool, err error) {
	c, ok := e.(*Call)
	if ok && strings.EqualFold(c.Name, "Window") {
		if len(c.Args) != 2 {
			return w, true, Errorf(c.At, "Window takes an id and a window")
		}
		id, ok := c.Args[0].(*Literal)
		if !ok || id.Value.Str() == "" {
			return w, true, Errorf(c.Args[0].Pos(), "unexpected %s, expected the id of the window, a string", ExprString(c.Args[0]))
		}
		w, named, err = parseListed(c.Args[1])
		if named && err == nil {
			err = Errorf(c.Args[1].Pos(), "a window has a second id")
		}
		w.ID = id.Value.Str()
		return w, true, err
	}
	if IsSystemTimestamp(e) {
		return Window{At: e.Pos(), Kind: WindowSnapshot}, false, nil
	}
	if ok {
		w, ok, err = ParseWindow(c)
	}
	if err == nil && (!ok || w.Kind == WindowUnion) {
		err = Errorf(e.Pos(), "unexpected %s, expected a window", ExprString(e))
	}
	return w, false, err
}

// IsSystemTimestamp reports a call of System.Timestamp, with parentheses or without.
func IsSystemTimestamp(e Expr) bool {
	c, ok := e.(*Call)
	return ok && strings.EqualFold(c.Name, "System.Timestamp") && len(c.Args) == 0
}

// Window returns the window of GROUP BY and the keys beside it. System.Timestamp()
// is a snapshot window, or a key where there is another window. The window's
// Kind is 0 if there is none.
func (s *Select) Window() (w Window, keys []Expr, err error) {
	for _, e := range s.GroupBy {
		c, ok := e.(*Call)
		if !ok {
			keys = append(keys, e)
			continue
		}
		each, ok, err := ParseWindow(c)
		switch {
		case err != nil:
			return w, nil, err
		case !ok:
			keys = append(keys, e)
		case w.Kind != 0:
			return w, nil, &Error{c.At, "GROUP BY has a second window", "combine them by Windows(…, …)"}
		default:
			w = each
		}
	}
	if i := slices.IndexFunc(keys, IsSystemTimestamp); i >= 0 && w.Kind == 0 {
		w = Window{At: keys[i].Pos(), Kind: WindowSnapshot}
		keys = slices.Delete(keys, i, i+1)
	}
	return w, keys, nil
}
