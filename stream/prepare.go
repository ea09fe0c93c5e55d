package stream

import (
	"errors"
	"maps"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// Prepare parses, checks and compiles the text of a script. The error is a
// *saql.Error, or joins several in the order of their places.
func Prepare(text string, env Environment) (*Program, error) {
	script, err := saql.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(saql.Check(script, env.names())...); err != nil {
		return nil, err
	}
	return Compile(script, env)
}

// names is what the check of a script needs to know.
func (e *Environment) names() saql.Env {
	names := saql.Env{Outputs: e.Outputs}
	if e.Inputs == nil {
		return names
	}
	names.Inputs = []string{} // none, where nil would be any
	for _, alias := range slices.Sorted(maps.Keys(e.Inputs)) {
		if e.Inputs[alias].Reference != nil {
			names.References = append(names.References, alias)
		} else {
			names.Inputs = append(names.Inputs, alias)
		}
	}
	return names
}
