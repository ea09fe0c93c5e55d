package stream

import (
	"fmt"

	"slices"

	"github.com/weir-iot/weir/saql"
)

// A scope is what names mean within one SELECT.
type scope struct {
	sources []source
	// special compiles what this place of the query knows of beside columns:
	// aggregates, keys of groups, analytic functions. It is asked first, for
	// every expression; nil, nil: nothing special.
	special func(e saql.Expr) (*operand, error)
	// refuse is why columns cannot be used here; nil: they can.
	refuse func(col *saql.Column) error
}

// A source is one entry of FROM.
type source struct {
	name string // the alias, or the name of the input or step
	rel  relation
	// time is where the time of the source's own row is; nil: the row has it.
	time *ref
	// lag is how much older than the row the source's own row may be.
	lag saql.Ticks
	// over are the functions OVER (…) that were computed of the source.
	over []overResult
}

// timestamp evaluates to the time of the source's row, as DATEDIFF takes it.
func (s *source) timestamp() evaluator {
	if s.time != nil {
		return load(*s.time)
	}
	return timestamp
}

// source returns the source of that name.
func (s *scope) source(name string) *source {
	i := slices.IndexFunc(s.sources, func(src source) bool { return sameName(src.name, name) })
	if i < 0 {
		return nil
	}
	return &s.sources[i]
}

// resolve finds what a path of names stands for: a source and a column, else a
// column of the one source that has it.
func (s *scope) resolve(col *saql.Column) (ref, error) {
	path := col.Path
	if src := s.source(path[0].Text); src != nil && len(path) > 1 {
		if src.rel.has(path[1].Text) == absent {
			return ref{}, s.unknown(path[1], *src)
		}
		return src.rel.column(path[1:]), nil
	}
	src, err := s.owner(path[0])
	if err != nil {
		return ref{}, err
	}
	return src.rel.column(path), nil
}

// owner returns the source that a column without one belongs to.
func (s *scope) owner(name saql.Name) (*source, error) {
	for _, known := range []presence{present, possible} {
		var found []*source
		for i := range s.sources {
			if s.sources[i].rel.has(name.Text) == known {
				found = append(found, &s.sources[i])
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			err := saql.Errorf(name.At, "column %s may be of %s or of %s", name.Text, found[0].name, found[1].name)
			err.Hint = "write " + found[0].name + "." + name.Text
			if name.Quoted {
				err.Hint = fmt.Sprintf("write %s.[%s], or '%s' if it is text", found[0].name, name.Text, name.Text)
			}
			return nil, err
		}
	}
	return nil, s.unknown(name, s.sources...)
}

// unknown is the error for a name that no source has.
func (s *scope) unknown(name saql.Name, of ...source) error {
	err := saql.Errorf(name.At, "unknown column %s", name.Text)
	var names []string
	for _, src := range of {
		if st, ok := baseRelation(src.rel).(*projection); ok {
			names = append(names, st.names()...)
		}
	}
	err.Hint = suggest(name.Text, names)
	return err
}

// baseRelation returns what a relation was copied from.
func baseRelation(rel relation) relation {
	for {
		c, ok := rel.(copied)
		if !ok {
			return rel
		}
		rel = c.relation
	}
}
