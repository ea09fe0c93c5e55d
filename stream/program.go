package stream

import (
	"github.com/weir-iot/weir/saql"
)

// A Program is a compiled script. It does not change: instances of it, one per
// shard, may run in parallel.
type Program struct {
	inputs  []*inputPlan
	outputs []OutputPlan
	nodes   []*node // each after those it reads

	passThrough bool
}

// An InputPlan is a stream that a program reads. A stream that is read with two
// clauses TIMESTAMP BY is two.
type InputPlan struct {
	Alias   string
	Columns []InputColumn // what the Values of a row are
	// Timestamp gives the application time of a row as a datetime, or NULL where
	// it has none. nil: the time of a row is its arrival.
	Timestamp func(row *saql.Row) (saql.Value, error)
	// Over gives the keys of substreams, of TIMESTAMP BY … OVER.
	Over []func(row *saql.Row) (saql.Value, error)
	// Table is CREATE TABLE of the input; nil: none.
	Table []saql.TableColumn
}

// An InputColumn is one value of an input's rows.
type InputColumn struct {
	// Path is where the value is in the payload: ["a", "b"] is a.b. Without
	// Path and Metadata it is the payload itself.
	Path []string
	// Metadata is where the value is in what the message carries beside its
	// payload: ["EventEnqueuedUtcTime"], ["IoTHub", "ConnectionDeviceId"],
	// ["User", "property"], ["EventId"]. An implicit column has both: where the
	// message has no such metadata, it is a field of the payload.
	Metadata []string
}

// An OutputPlan is one query's writing to an output: two queries that write to
// the same output have one each.
type OutputPlan struct {
	Name   string
	Schema saql.Schema
}

// A Sink takes the rows of a program's outputs; output is an index in Outputs.
// The row is valid during the call. An error ends the job.
type Sink func(output int, row *saql.Row) error

// Sharding is how a program may be spread.
type Sharding struct {
	// PerPartition: each partition may have an instance of its own, since no
	// operator keeps state of rows of two partitions.
	PerPartition bool
	// PassThrough: the program is SELECT * of one input alone.
	PassThrough bool
}

// Inputs returns the streams that the program reads.
func (p *Program) Inputs() []InputPlan {
	plans := make([]InputPlan, len(p.inputs))
	for i, in := range p.inputs {
		plans[i] = in.InputPlan
	}
	return plans
}

// Outputs returns what the program writes, in the order of its queries.
func (p *Program) Outputs() []OutputPlan { return p.outputs }
