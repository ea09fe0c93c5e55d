package stream

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/weir-iot/weir/saql"
)

// An Environment is what a script is compiled against.
type Environment struct {
	// Inputs by alias, in any case; nil: any name is a stream.
	Inputs map[string]Input
	// Outputs by alias, in any case; nil: any name is an output.
	Outputs []string
	// Functions are the user's own; nil: there are none.
	Functions Functions
	// Implicit: SELECT * of an input has the columns that Stream Analytics adds to
	// the payload: EventProcessedUtcTime, PartitionId, EventEnqueuedUtcTime, IoTHub.
	Implicit bool
}

// An Input is one that a script may read.
type Input struct {
	Reference ReferenceTable // nil: a stream
}

// Functions are user-defined functions, which queries call as udf.name(…).
type Functions interface {
	// Function returns the function of that name, nil if there is none. The
	// arguments are valid during the call.
	Function(name string) func(args []saql.Value) (saql.Value, error)
}

// Compile makes operators of a script. An error is a *saql.Error: a name that
// nothing has, an expression that cannot be, what is not supported.
func Compile(s *saql.Script, env Environment) (*Program, error) {
	c := &compiler{env: env, steps: make(map[string]step)}
	if err := c.script(s); err != nil {
		return nil, err
	}
	p := &Program{outputs: c.outputs, nodes: prune(c.nodes)}
	for _, in := range c.inputs {
		if slices.Contains(p.nodes, in.node) {
			p.inputs = append(p.inputs, in)
		}
	}
	p.passThrough = c.passThrough(s)
	return p, nil
}

// A compiler makes one Program.
type compiler struct {
	env    Environment
	tables []*saql.CreateTable
	steps  map[string]step // by name in lower case
	// references are the steps that select from reference data.
	references map[string]*reference
	inputs     []*inputPlan
	nodes      []*node
	outputs    []OutputPlan
}

// A step is a compiled query: the rows that a node gives.
type step struct {
	node *node
	rel  result
}

// A result is the relation of a query.
type result interface {
	relation
	// arrange puts the values of rows in the order of columns, which star gave.
	// Nobody else knows their slots.
	arrange(columns []starColumn)
}

func (c *compiler) script(s *saql.Script) error {
	for _, t := range s.Tables {
		if _, _, err := c.input(t.Name); err != nil {
			return err
		}
		c.tables = append(c.tables, t)
	}
	for _, st := range s.Steps {
		key := strings.ToLower(st.Name.Text)
		if _, twice := c.steps[key]; twice || c.references[key] != nil {
			return saql.Errorf(st.Name.At, "there are two steps %s", st.Name.Text)
		}
		if into := into(st.Query); into != nil {
			err := saql.Errorf(into.At, "INTO in a step of WITH")
			err.Hint = "write SELECT … INTO after the steps"
			return err
		}
		if done, err := c.referenceStep(st); done || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		compiled, err := c.query(st.Query)
		if err != nil {
			return err
		}
		c.steps[key] = compiled
	}
	for _, q := range s.Queries {
		if err := c.write(q); err != nil {
			return err
		}
	}
	return nil
}

// write compiles a query that writes to an output.
func (c *compiler) write(q *saql.Query) error {
	name := "output"
	if into := into(q); into != nil {
		name = into.Text
		declared, err := c.output(*into)
		if err != nil {
			return err
		}
		name = cmp.Or(declared, name)
	}
	compiled, err := c.query(q)
	if err != nil {
		return err
	}
	plan := OutputPlan{Name: name}
	columns := compiled.rel.star()
	compiled.rel.arrange(columns)
	for _, col := range columns {
		plan.Schema.Columns = append(plan.Schema.Columns, col.SchemaColumn)
	}
	compiled.node.outputs = append(compiled.node.outputs, len(c.outputs))
	c.outputs = append(c.outputs, plan)
	return nil
}

// output returns the name of an output as the environment spells it.
func (c *compiler) output(name saql.Name) (string, error) {
	if c.env.Outputs == nil {
		return name.Text, nil
	}
	i := slices.IndexFunc(c.env.Outputs, func(o string) bool { return sameName(o, name.Text) })
	if i < 0 {
		return "", unknownName(name, "output", c.env.Outputs)
	}
	return c.env.Outputs[i], nil
}

// input returns an input of the environment, and its name as spelt there.
func (c *compiler) input(name saql.Name) (string, Input, error) {
	if c.env.Inputs == nil {
		return name.Text, Input{}, nil
	}
	names := slices.Sorted(maps.Keys(c.env.Inputs))
	for _, alias := range names {
		if sameName(alias, name.Text) {
			return alias, c.env.Inputs[alias], nil
		}
	}
	return "", Input{}, unknownName(name, "input", append(names, slices.Sorted(maps.Keys(c.steps))...))
}

func unknownName(name saql.Name, what string, names []string) error {
	err := saql.Errorf(name.At, "unknown %s %s", what, name.Text)
	err.Hint = suggest(name.Text, names)
	return err
}

// suggest is the hint for a word that is none of some names.
func suggest(word string, names []string) string {
	const most = 8
	near := saql.Nearest(word, names)
	switch {
	case near != "":
		return "did you mean " + near + "?"
	case len(names) > most:
		return "there are " + strings.Join(names[:most], ", ") + ", …"
	case len(names) > 0:
		return "there are " + strings.Join(names, ", ")
	}
	return ""
}

// into returns the output of a query, nil if it names none.
func into(q *saql.Query) *saql.Name {
	for _, s := range q.Selects {
		if s.Into != nil {
			return s.Into
		}
	}
	return nil
}

// passThrough tells whether a script is SELECT * INTO x FROM y alone.
func (c *compiler) passThrough(s *saql.Script) bool {
	if len(s.Queries) != 1 || len(s.Queries[0].Selects) != 1 || len(c.inputs) != 1 {
		return false
	}
	q, in := s.Queries[0].Selects[0], c.inputs[0]
	plain := len(q.Items) == 1 && q.Items[0].Star && q.Items[0].Of == nil &&
		q.Where == nil && q.GroupBy == nil && q.Having == nil && q.From.Tail == nil && q.From.Source.Query == nil
	_, isStep := c.steps[strings.ToLower(q.From.Source.Name.Text)]
	return plain && !isStep && in.Timestamp == nil && in.Table == nil
}
