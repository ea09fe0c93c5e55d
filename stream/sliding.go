package stream

import (
	"encoding/binary"

	"github.com/weir-iot/weir/saql"
)

// A slidingWindow gives the row of a group whenever the content of its window
// changes: when rows come, and when rows become as old as its size. Rows that
// come are given with all that are not older than the size, as functions
// OVER (LIMIT DURATION …) see them: what leaves at the same time is still there.
// That is one change; a group without rows gives none.
type slidingWindow struct {
	*grouper
	size   saql.Ticks
	now    saql.Ticks // of the rows that came last
	came   []*group   // at that time, in the order of their first row
	leaves []leave    // in the order of time
}

// A leave is the pane of a group that leaves the window at a time.
type leave struct {
	at    saql.Ticks
	group *group
}

func newSliding(gr *grouper, w saql.Window) *slidingWindow {
	return &slidingWindow{grouper: gr, size: w.Size}
}

func (o *slidingWindow) Process(_ int, row *saql.Row, _ Emit) error {
	g, err := o.read(row)
	if g == nil {
		return err
	}
	o.now = row.Time
	if !g.waits {
		g.waits = true
		o.came = append(o.came, g)
		o.leaves = append(o.leaves, leave{row.Time + o.size, g})
	}
	return o.add(g.panes.at(o.grouper, row.Time), row)
}

func (o *slidingWindow) Next() saql.Ticks {
	next := never
	if len(o.came) > 0 {
		next = o.now
	}
	if len(o.leaves) > 0 {
		next = min(next, o.leaves[0].at)
	}
	return next
}

func (o *slidingWindow) Advance(watermark saql.Ticks, emit Emit) error {
	for now := o.Next(); now <= watermark; now = o.Next() {
		if err := o.change(now, emit); err != nil {
			return err
		}
	}
	return nil
}

// change gives the rows of the groups that change at a time: those that get
// rows, then those that only lose some.
func (o *slidingWindow) change(now saql.Ticks, emit Emit) error {
	var came []*group
	if o.now == now {
		came, o.came = o.came, o.came[:0]
	}
	for _, g := range came {
		if err := o.total(g, now, emit); err != nil {
			return err
		}
	}
	n := 0
	for ; n < len(o.leaves) && o.leaves[n].at <= now; n++ {
		g := o.leaves[n].group
		if err := g.panes.drop(o.grouper, now-o.size); err != nil {
			return err
		}
		if !g.waits {
			if err := o.total(g, now, emit); err != nil {
				return err
			}
		}
	}
	o.leaves = o.leaves[n:]
	for _, g := range came {
		g.waits = false
	}
	return nil
}

// total gives the row of a group, and forgets the group if it has no rows.
func (o *slidingWindow) total(g *group, now saql.Ticks, emit Emit) error {
	if len(g.panes.list) == 0 {
		delete(o.index, g.key)
		return nil
	}
	total, err := g.panes.total(o.grouper)
	if err != nil {
		return err
	}
	return o.give(g, total, now, emit)
}

// A group that holds rows has them leave: the groups are those of leaves.

func (o *slidingWindow) Snapshot(b []byte) []byte {
	place := make(map[*group]int)
	var groups []*group
	for _, l := range o.leaves {
		if _, ok := place[l.group]; !ok {
			place[l.group] = len(groups)
			groups = append(groups, l.group)
		}
	}
	b = appendGroups(b, groups)
	b = binary.AppendUvarint(b, uint64(len(o.leaves)))
	for _, l := range o.leaves {
		b = binary.AppendVarint(b, int64(l.at))
		b = binary.AppendVarint(b, int64(place[l.group]))
	}
	b = binary.AppendVarint(b, int64(o.now))
	b = binary.AppendUvarint(b, uint64(len(o.came)))
	for _, g := range o.came {
		b = binary.AppendVarint(b, int64(place[g]))
	}
	return b
}

func (o *slidingWindow) Restore(state []byte) error {
	r := reader{b: state}
	groups := o.readGroups(&r)
	o.leaves, o.came = nil, nil
	for range r.count() {
		if l := (leave{r.ticks(), pick(&r, groups)}); r.err == nil {
			o.leaves = append(o.leaves, l)
		}
	}
	o.now = r.ticks()
	for range r.count() {
		if g := pick(&r, groups); r.err == nil {
			g.waits = true
			o.came = append(o.came, g)
		}
	}
	return r.end()
}

// pick reads the place of one of groups.
func pick(r *reader, groups []*group) *group {
	i := r.varint()
	if i < 0 || i >= int64(len(groups)) {
		r.fail()
		return nil
	}
	return groups[i]
}
