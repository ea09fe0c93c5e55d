package stream

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// A sessionWindow holds rows that come no more than a timeout after each other;
// it ends a timeout after the last one. At whole multiples of its longest
// duration it ends if it is open that long, and what follows within the timeout
// is a session that was opened there. Keys of OVER (PARTITION BY …) have sessions
// of their own. Sessions that end at the same time give their rows in the order
// in which they were opened first.
type sessionWindow struct {
	*grouper
	keys         []*operand
	timeout, max saql.Ticks
	open         map[string]*sessionState
	queue        sessionQueue
	opened       int64 // how many sessions there have been
}

// A sessionState is one session.
type sessionState struct {
	key    string
	order  int64
	opened saql.Ticks
	last   saql.Ticks // of its rows
	groups []*group
	// due is when the queue looks at the session; it is never after the end.
	due saql.Ticks
}

func newSession(gr *grouper, w saql.Window, keys []*operand) *sessionWindow {
	return &sessionWindow{grouper: gr, keys: keys, timeout: w.Timeout, max: w.MaxDuration, open: make(map[string]*sessionState)}
}

// end is when a session ends if no more rows come; limited tells that its
// longest duration ends it.
func (o *sessionWindow) end(s *sessionState) (end saql.Ticks, limited bool) {
	end, limit := s.last+o.timeout, ceil(s.opened+o.max, o.max, 0)
	return min(end, limit), limit < end
}

func (o *sessionWindow) Process(_ int, row *saql.Row, _ Emit) error {
	o.prefix = o.prefix[:0]
	for _, key := range o.keys {
		v, err := key.eval(row)
		if err != nil {
			return failed(o.fail, err, row.Key)
		}
		o.prefix = saql.AppendKey(o.prefix, v)
	}
	g, err := o.read(row)
	if g == nil {
		return err
	}
	s := o.open[string(o.prefix)]
	if s == nil {
		s = &sessionState{key: string(o.prefix), order: o.opened, opened: row.Time, last: row.Time}
		o.opened++
		o.open[s.key] = s
		s.due, _ = o.end(s)
		heap.Push(&o.queue, s)
	}
	s.last = row.Time
	if len(g.panes.list) == 0 {
		s.groups = append(s.groups, g)
	}
	return o.add(g.panes.at(o.grouper, 0), row)
}

func (o *sessionWindow) Next() saql.Ticks {
	if len(o.queue) == 0 {
		return never
	}
	return o.queue[0].due
}

func (o *sessionWindow) Advance(watermark saql.Ticks, emit Emit) error {
	for len(o.queue) > 0 && o.queue[0].due <= watermark {
		s := o.queue[0]
		end, limited := o.end(s)
		if s.due == end {
			if err := o.close(s, end, emit); err != nil {
				return err
			}
			if !limited {
				heap.Pop(&o.queue)
				delete(o.open, s.key)
				continue
			}
			s.opened = end
			end, _ = o.end(s)
		}
		s.due = end
		heap.Fix(&o.queue, 0)
	}
	return nil
}

// close gives the rows of a session's groups.
func (o *sessionWindow) close(s *sessionState, end saql.Ticks, emit Emit) error {
	for _, g := range s.groups {
		if err := o.give(g, &g.panes.list[0].bundle, end, emit); err != nil {
			return err
		}
		if err := g.panes.drop(o.grouper, 0); err != nil {
			return err
		}
		delete(o.index, g.key)
	}
	s.groups = nil
	return nil
}

// A sessionQueue is a heap of sessions: what is due first, then what was opened first.
type sessionQueue []*sessionState

func (q sessionQueue) Len() int      { return len(q) }
func (q sessionQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q sessionQueue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].due, q[j].due), cmp.Compare(q[i].order, q[j].order)) < 0
}
func (q *sessionQueue) Push(s any) { *q = append(*q, s.(*sessionState)) }
func (q *sessionQueue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	*q = (*q)[:last]
	return s
}

func (o *sessionWindow) Snapshot(b []byte) []byte {
	sessions := slices.SortedFunc(slices.Values(o.queue), func(x, y *sessionState) int { return cmp.Compare(x.order, y.order) })
	var groups []*group
	for _, s := range sessions {
		groups = append(groups, s.groups...)
	}
	b = appendGroups(b, groups)
	b = binary.AppendUvarint(b, uint64(len(sessions)))
	for _, s := range sessions {
		b = appendText(b, s.key)
		b = binary.AppendVarint(b, int64(s.opened))
		b = binary.AppendVarint(b, int64(s.last))
		b = binary.AppendVarint(b, int64(len(s.groups)))
	}
	return b
}

func (o *sessionWindow) Restore(state []byte) error {
	r := reader{b: state}
	groups := o.readGroups(&r)
	clear(o.open)
	o.queue, o.opened = nil, 0
	for range r.count() {
		s := &sessionState{key: r.text(), order: o.opened, opened: r.ticks(), last: r.ticks()}
		n := r.varint()
		if n < 0 || n > int64(len(groups)) || s.last < s.opened-o.timeout || s.last-s.opened > 2*o.max {
			r.fail()
			break
		}
		s.groups, groups = groups[:n:n], groups[n:]
		s.due, _ = o.end(s)
		o.opened++
		o.open[s.key] = s
		heap.Push(&o.queue, s)
	}
	return r.end()
}
