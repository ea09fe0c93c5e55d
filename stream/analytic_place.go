package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// An overResult is where the result of a function OVER (…) is.
type overResult struct {
	call *saql.Call
	ref  ref
}

// result finds the result of a function OVER (…).
func (s *scope) result(e saql.Expr) (ref, bool) {
	for _, src := range s.sources {
		for _, r := range src.over {
			if saql.Expr(r.call) == e {
				return r.ref, true
			}
		}
	}
	return ref{}, false
}

// analytic adds the node that computes functions OVER (…) of the rows of
// another; the scope that it returns knows their results.
func (c *compiler) analytic(sc *scope, from *node, calls []*saql.Call) (*scope, *node, error) {
	if len(calls) == 0 {
		return sc, from, nil
	}
	var (
		functions []*overFunction
		texts     []string
		results   []overResult
	)
	n := &node{perPartition: true}
	for _, call := range calls {
		text := c.canonical(sc, call)
		slot := slices.Index(texts, text)
		if slot < 0 {
			f, err := c.over(sc, call)
			if err != nil {
				return nil, nil, err
			}
			slot, functions, texts = len(functions), append(functions, f), append(texts, text)
			n.reach = max(n.reach, f.limit)
			n.perPartition = n.perPartition && call.Over != nil && keyedByPartition(sc, call.Over.PartitionBy)
		}
		results = append(results, overResult{call, ref{slot: slot}})
	}
	l := &layout{computed: len(functions)}
	n.text = "analytic " + callNames(calls)
	n.state = func() string { return fmt.Sprintf("analytic %q %q", sourceNames(sc), texts) }
	n.build = func(fail Failure) Operator { return newAnalytic(functions, l, fail) }
	computed := sc.through(l, 0)
	newest := &computed.sources[len(computed.sources)-1]
	newest.over = append(newest.over, results...)
	return computed, c.add(n, from), nil
}

func callNames(calls []*saql.Call) string {
	var names []string
	for _, call := range calls {
		names = append(names, call.Name)
	}
	return strings.Join(names, ", ")
}

func sourceNames(sc *scope) []string {
	var names []string
	for _, src := range sc.sources {
		names = append(names, strings.ToLower(src.name))
	}
	return names
}

// keyedByPartition reports that rows of two partitions differ in their keys.
func keyedByPartition(sc *scope, keys []saql.Expr) bool {
	return slices.ContainsFunc(keys, func(e saql.Expr) bool { return isPartition(sc, e) })
}

// through returns the scope as the rows of a layout hold it that are copied
// from a port.
func (s *scope) through(l *layout, port int) *scope {
	moved := &scope{}
	for _, src := range s.sources {
		moved.sources = append(moved.sources, src.through(l, port))
	}
	return moved
}

func (s source) through(l *layout, port int) source {
	moved := source{name: s.name, rel: copied{s.rel, strings.ToLower(s.name), port, l}, lag: s.lag}
	if s.time != nil {
		moved.time = &ref{slot: l.claim(port, *s.time, s.name+" time")}
	}
	for i, r := range s.over {
		slot := l.claim(port, r.ref, fmt.Sprintf("%s over %d", s.name, i))
		moved.over = append(moved.over, overResult{r.call, ref{slot: slot}})
	}
	return moved
}

// overCalls returns the functions OVER (…) of a SELECT by the entry of FROM
// behind which they are computed: the one that they read. So neither JOIN nor
// WHERE changes what they see.
func overCalls(s *saql.Select) ([][]*saql.Call, error) {
	calls := make([][]*saql.Call, 1+len(s.From.Tail))
	var failure error
	for _, e := range selectExprs(s) {
		saql.Walk(e, func(e saql.Expr) bool {
			call, ok := e.(*saql.Call)
			if !ok || !isAnalytic(call) {
				return true
			}
			entry, err := overEntry(s.From, call)
			if err != nil {
				failure = err
			}
			calls[entry] = append(calls[entry], call)
			return false
		})
	}
	return calls, failure
}

// selectExprs returns the expressions of a SELECT that may have functions OVER (…).
func selectExprs(s *saql.Select) []saql.Expr {
	var all []saql.Expr
	for _, item := range s.Items {
		if !item.Star {
			all = append(all, item.Expr)
		}
	}
	for _, item := range s.From.Tail {
		if j, ok := item.(*saql.Join); ok && j.On != nil {
			all = append(all, j.On)
		}
	}
	all = append(all, s.GroupBy...)
	for _, e := range []saql.Expr{s.Where, s.Having} {
		if e != nil {
			all = append(all, e)
		}
	}
	return all
}

// overEntry returns the entry of FROM whose columns a function OVER (…) reads,
// the last if there are several.
func overEntry(f saql.From, call *saql.Call) (int, error) {
	reads := make([]bool, 1+len(f.Tail))
	err := readEntries(f, call, reads)
	if err != nil {
		return 0, err
	}
	newest := max(0, lastTrue(reads))
	if newest == 0 {
		return 0, nil
	}
	if _, isJoin := f.Tail[newest-1].(*saql.Join); isJoin && slices.Contains(reads[:newest], true) {
		err := saql.Errorf(call.At, "%s reads columns of two sources, but is computed before they are joined", call.Name)
		err.Hint = "join them in a step of WITH"
		return 0, err
	}
	return newest, nil
}

func lastTrue(list []bool) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] {
			return i
		}
	}
	return -1
}

// readEntries marks the entries of FROM whose columns a call reads.
func readEntries(f saql.From, call *saql.Call, reads []bool) (err error) {
	for _, part := range columnParts(call) {
		saql.Walk(part, func(e saql.Expr) bool {
			switch e := e.(type) {
			case *saql.Call:
				if isAnalytic(e) {
					nested := saql.Errorf(e.At, "%s within %s", e.Name, call.Name)
					nested.Hint = "compute it in a step of WITH"
					err = nested
					return false
				}
				if inner := readEntries(f, e, reads); inner != nil {
					err = inner
				}
				return false
			case *saql.Column:
				entry, found := columnEntry(f, e)
				if found {
					reads[entry] = true
				} else if err == nil {
					unclear := saql.Errorf(e.At, "the source of column %s within %s is not clear", e.Path[0].Text, call.Name)
					unclear.Hint = "write " + entryName(f, 0) + "." + e.Path[0].Text
					err = unclear
				}
			}
			return true
		})
	}
	return err
}

// columnParts returns the parts of a call in which a name is that of a column:
// all but its unit of time.
func columnParts(call *saql.Call) []saql.Expr {
	parts := saql.Parts(call)
	if sameName(call.Name, "ISFIRST") {
		return parts[min(len(call.Args), len(parts)):]
	}
	if f, ok := saql.LookupFunction(call.Name); ok && f.Unit && len(parts) > 0 {
		return parts[1:]
	}
	return parts
}

// columnEntry returns the entry of FROM that a column belongs to, or is the name
// of: the one that it names, else the first if nothing is joined with it.
func columnEntry(f saql.From, col *saql.Column) (entry int, ok bool) {
	joined := false
	for i := len(f.Tail); i >= 0; i-- {
		if sameName(entryName(f, i), col.Path[0].Text) {
			return i, true
		}
		if i > 0 {
			_, isJoin := f.Tail[i-1].(*saql.Join)
			joined = joined || isJoin
		}
	}
	return 0, !joined
}

// entryName returns what an entry of FROM is called.
func entryName(f saql.From, i int) string {
	src := f.Source
	if i > 0 {
		switch item := f.Tail[i-1].(type) {
		case *saql.Apply:
			return item.Alias.Text
		case *saql.Join:
			src = item.Source
		}
	}
	if src.Alias != nil {
		return src.Alias.Text
	}
	return src.Name.Text
}
