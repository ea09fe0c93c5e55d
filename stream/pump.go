package stream

import (
	"github.com/weir-iot/weir/saql"
)

// A feedPlan is one source of a program: a partition of the log behind an input.
type feedPlan struct {
	input     int // in Program.Inputs
	partition int
}

// rank orders sources, so that events of the same time come by partition, and
// those of one record that two inputs read by input.
func (f feedPlan) rank(inputs int) int { return f.partition*inputs + f.input }

// A pump runs the events of several sources through an instance, in the one
// order that there is. It belongs to one goroutine, and takes runs from outside.
type pump struct {
	feeds    []feedPlan // by rank
	merge    *merge
	instance *Instance
	sink     Sink
	dead     func(input int, e *event) error
	row      saql.Row
	advanced saql.Ticks // the watermark that the instance has
	events   int64
	// muted is where the rows begin that are wanted: what the rows before are made
	// of is processed for the state alone. nil: all are wanted.
	muted *cut
	// ceiling is the highest watermark that the instance gets.
	ceiling saql.Ticks
}

// A cut is a moment between two rows of a program: before it are those of the
// events up to Done, and those that the watermark Advanced lets windows give.
type cut struct {
	Done     checkpointEvent `json:"done"`
	Advanced saql.Ticks      `json:"advanced"`
}

func newPump(feeds []feedPlan, at []resume, inputs int, instance *Instance) *pump {
	ranks := make([]int, len(feeds))
	for i, f := range feeds {
		ranks[i] = f.rank(inputs)
	}
	return &pump{feeds: feeds, merge: newMerge(ranks, at), instance: instance, ceiling: saql.MaxTicks}
}

// drain processes what is there, and returns the feed that must give its next
// run before anything else can be processed; -1: the merge's until is reached.
func (p *pump) drain() (feed int, err error) {
	for {
		e, i := p.merge.next()
		if e == nil {
			return i, p.advance(p.merge.mark())
		}
		if err := p.process(e, p.feeds[i]); err != nil {
			return i, err
		}
		e.block.done()
	}
}

func (p *pump) process(e *event, f feedPlan) error {
	if p.muted != nil && p.merge.done.after(p.muted.Done.progress()) {
		if err := p.unmute(); err != nil {
			return err
		}
	}
	if e.dead != nil {
		// Windows that end before give their rows first, and what they fail on:
		// dead letters have ordinals, which must not depend on batches.
		if err := p.advance(e.at - 1); err != nil {
			return err
		}
		return p.dead(f.input, e)
	}
	p.events++
	p.row = saql.Row{Time: e.at, Key: saql.Key{Partition: f.partition, Seq: e.seq, Index: e.index}, Values: e.values}
	return p.instance.Process(f.input, &p.row, p.sink)
}

func (p *pump) advance(watermark saql.Ticks) error {
	if watermark = min(watermark, p.ceiling); watermark <= p.advanced {
		return nil
	}
	if p.muted != nil && watermark > p.muted.Advanced {
		if err := p.unmute(); err != nil {
			return err
		}
	}
	p.advanced = watermark
	return p.instance.Advance(watermark, p.sink)
}

// unmute goes to the cut: the rows from there on are wanted.
func (p *pump) unmute() error {
	to := p.muted.Advanced
	err := p.instance.Advance(to, p.sink)
	p.advanced, p.muted = max(p.advanced, to), nil
	return err
}
