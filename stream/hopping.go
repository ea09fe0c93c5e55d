package stream

import (
	"encoding/binary"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// A hoppingWindow is a hopping window, a tumbling one, whose hop is its size, or a
// snapshot window, which is a tumbling one of one tick. A window holds the rows
// after its begin, up to and with its end, and gives the rows of its groups when
// the watermark reaches the end. A pane is as long as the greatest common
// divisor of size and hop, so that rows are added once, however many windows
// they are in.
//
// Rows of one end are in the order in which their groups got their first row of
// those that windows hold.
type hoppingWindow struct {
	*grouper
	groups                  []*group // that hold rows
	size, hop, offset, pane saql.Ticks
	next                    saql.Ticks // the end of the earliest window with rows
	current                 saql.Ticks // the end of the pane that rows come to
}

func newHopping(gr *grouper, w saql.Window) *hoppingWindow {
	o := &hoppingWindow{grouper: gr, size: w.Size, hop: w.Hop, offset: w.Offset, next: never}
	if w.Kind == saql.WindowSnapshot {
		o.size, o.hop = 1, 1
	}
	o.pane = o.size
	for rest := o.hop; rest > 0; {
		o.pane, rest = rest, o.pane%rest
	}
	return o
}

// ceil returns the first time that is not before t and a whole number of steps
// away from the offset.
func ceil(t, step, offset saql.Ticks) saql.Ticks {
	over := (t - offset) % step
	switch {
	case over > 0:
		return t + step - over
	default:
		return t - over
	}
}

func (o *hoppingWindow) Process(_ int, row *saql.Row, _ Emit) error {
	end := o.current
	if row.Time > end || row.Time <= end-o.pane {
		end = ceil(row.Time, o.pane, o.offset)
		o.current = end
	}
	if o.next == never {
		window := ceil(row.Time, o.hop, o.offset)
		if row.Time <= window-o.size {
			return nil // between two windows
		}
		o.next = window
	}
	g, err := o.read(row)
	if g == nil {
		return err
	}
	if len(g.panes.list) == 0 {
		o.groups = append(o.groups, g)
	}
	return o.add(g.panes.at(o.grouper, end), row)
}

func (o *hoppingWindow) Next() saql.Ticks { return o.next }

func (o *hoppingWindow) Advance(watermark saql.Ticks, emit Emit) error {
	for o.next <= watermark {
		if err := o.close(emit); err != nil {
			return err
		}
	}
	return nil
}

// close gives the rows of the window that ends next.
func (o *hoppingWindow) close(emit Emit) error {
	end := o.next
	for _, g := range o.groups {
		total, err := g.panes.total(o.grouper)
		if err != nil {
			return err
		}
		if err := o.give(g, total, end, emit); err != nil {
			return err
		}
		if err := g.panes.drop(o.grouper, end+o.hop-o.size); err != nil {
			return err
		}
	}
	o.sweep()
	o.next = never
	if len(o.groups) > 0 {
		o.next = end + o.hop
	}
	return nil
}

// sweep forgets groups without rows, but not at once those that may come again:
// most keys of a window are also in the next one.
func (o *hoppingWindow) sweep() {
	most := 2*len(o.groups) + idleGroups
	o.groups = slices.DeleteFunc(o.groups, func(g *group) bool { return len(g.panes.list) == 0 })
	if len(o.index) > most {
		for key, g := range o.index {
			if len(g.panes.list) == 0 {
				delete(o.index, key)
			}
		}
	}
}

// idleGroups is how many groups without rows are kept in any case.
const idleGroups = 64

func (o *hoppingWindow) Snapshot(b []byte) []byte {
	b = binary.AppendVarint(b, int64(o.next))
	return appendGroups(b, o.groups)
}

func (o *hoppingWindow) Restore(state []byte) error {
	r := reader{b: state}
	o.next, o.current = r.ticks(), 0
	o.groups = o.readGroups(&r)
	for _, g := range o.groups {
		for _, p := range g.panes.list {
			if p.end > o.next || p.end <= o.next-o.size {
				return errState
			}
		}
	}
	return r.end()
}
