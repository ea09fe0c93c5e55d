package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// panes are the rows of a group, aggregated by pieces of time that a window
// holds whole or not at all. To aggregate all of them takes two merges, however
// many there are: they are kept as a queue of two stacks. Each pane in front of
// turn holds its own rows and those of the panes behind it up to turn; tail holds
// those from turn to merged. What grows with the number of rows is merged anew
// for every window.
type panes struct {
	list   []pane // oldest first
	turn   int
	merged int
	tail   bundle
}

// A pane is the rows up to its end, and after the end of the pane before it.
type pane struct {
	end saql.Ticks
	bundle
}

// at returns the pane that ends at a time, which no other pane ends after.
func (p *panes) at(gr *grouper, end saql.Ticks) *bundle {
	if n := len(p.list); n == 0 || p.list[n-1].end != end {
		p.list = append(p.list, pane{end, gr.bundle()})
	}
	return &p.list[len(p.list)-1].bundle
}

// total aggregates all panes, to which no more rows come. The result is valid
// until the next change.
func (p *panes) total(gr *grouper) (*bundle, error) {
	if len(p.list) == 1 {
		return &p.list[0].bundle, nil
	}
	all := &gr.scratch
	all.reset()
	if gr.large {
		for i := range p.list {
			if err := gr.merge(all, &p.list[i].bundle); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	if p.tail.aggregates == nil {
		p.tail = gr.bundle()
	}
	for ; p.merged < len(p.list); p.merged++ {
		if err := gr.merge(&p.tail, &p.list[p.merged].bundle); err != nil {
			return nil, err
		}
	}
	if p.turn > 0 {
		if err := gr.merge(all, &p.list[0].bundle); err != nil {
			return nil, err
		}
	}
	if p.turn < p.merged {
		return all, gr.merge(all, &p.tail)
	}
	return all, nil
}

// drop forgets the panes that end at a time or before. No more rows come to any pane.
func (p *panes) drop(gr *grouper, until saql.Ticks) error {
	n := 0
	for n < len(p.list) && p.list[n].end <= until {
		gr.release(p.list[n].bundle)
		n++
	}
	switch {
	case n == 0:
		return nil
	case n == len(p.list):
		p.list, p.turn, p.merged = p.list[:0], 0, 0
		p.tail.reset()
		return nil
	}
	p.list = p.list[n:]
	if n <= p.turn {
		p.turn, p.merged = p.turn-n, p.merged-n
		return nil
	}
	if gr.large {
		return nil
	}
	return p.flip(gr)
}

// flip puts all panes in front of turn.
func (p *panes) flip(gr *grouper) error {
	p.tail.reset()
	p.turn, p.merged = len(p.list), len(p.list)
	for i := len(p.list) - 2; i >= 0; i-- {
		if err := gr.merge(&p.list[i].bundle, &p.list[i+1].bundle); err != nil {
			return err
		}
	}
	return nil
}

func (p *panes) snapshot(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.list)))
	for i := range p.list {
		b = binary.AppendVarint(b, int64(p.list[i].end))
		b = p.list[i].snapshot(b)
	}
	b = binary.AppendVarint(b, int64(p.turn))
	b = binary.AppendVarint(b, int64(p.merged-p.turn))
	if p.merged > p.turn {
		b = p.tail.snapshot(b)
	}
	return b
}

func (p *panes) restore(gr *grouper, r *reader) {
	*p = panes{}
	for range r.count() {
		next := pane{r.ticks(), gr.bundle()}
		next.restore(r)
		p.list = append(p.list, next)
	}
	p.turn = int(r.varint())
	p.merged = p.turn + int(r.varint())
	if p.turn < 0 || p.merged < p.turn || p.merged > len(p.list) {
		r.fail()
		return
	}
	if p.merged > p.turn {
		p.tail = gr.bundle()
		p.tail.restore(r)
	}
}
