package stream

import (
	"encoding/binary"
	"slices"

	"github.com/weir-iot/weir/saql"
)

// A joiner joins the rows of two streams: those of port 0, the left, and of
// port 1. Its rows hold the times of the sources, the right one last, then what
// the layout copies. They come in the order of their time, which is that of the
// later row of a pair; a left row that had no match, if the join is outer, comes
// when none can come any more, with the time at which the last one could have.
// Rows of the same time come in the order in which their later rows came, and
// for each of these in the order of the earlier ones.
type joiner struct {
	on     *onClause
	times  []evaluator // of the left sources
	outer  bool
	places [2][]joinPlace
	fail   Failure

	sides [2]joinSide
	key   []byte
	now   [2]joinRow // the row that came in; its values are those of the row
	row   saql.Row   // the one that is given
}

// A joinPlace is a value that is copied into joined rows.
type joinPlace struct {
	from ref
	slot int
}

// A joinRow is a row that waits for matches.
type joinRow struct {
	time    saql.Ticks
	key     saql.Key
	times   []saql.Ticks // of a left row: those of its sources; never: no match
	values  []saql.Value // by places
	until   saql.Ticks   // no match comes later
	matched bool
	number  uint64 // grows in the order in which rows came

	group        *joinGroup // nil: its key is NULL, which matches nothing
	older, newer *joinRow
}

// A joinGroup is the rows of one side that have the same keys.
type joinGroup struct {
	key            string
	oldest, newest *joinRow
}

// A joinSide is the rows of one side that wait.
type joinSide struct {
	groups  map[string]*joinGroup
	waiting joinHeap
	count   uint64
	free    []*joinRow // forgotten rows, to be used again
}

func newJoin(on *onClause, times []evaluator, outer bool, l *layout, fail Failure) *joiner {
	o := &joiner{on: on, times: times, outer: outer, fail: fail, row: saql.Row{Values: make([]saql.Value, l.width())}}
	for i, p := range l.from {
		o.places[p.port] = append(o.places[p.port], joinPlace{p.ref, l.computed + i})
	}
	for port := range o.sides {
		o.sides[port].groups = make(map[string]*joinGroup)
		o.now[port].values = make([]saql.Value, len(o.places[port]))
	}
	o.now[0].times = make([]saql.Ticks, len(times))
	return o
}

func (o *joiner) Process(port int, row *saql.Row, emit Emit) error {
	if err := o.expire(row.Time-1, emit); err != nil {
		return err
	}
	hasKey, err := o.read(port, row)
	if err != nil {
		return failed(o.fail, err, row.Key)
	}
	r := &o.now[port]
	if hasKey {
		if err := o.match(port, r, emit); err != nil {
			return err
		}
	}
	outer := o.outer && port == 0
	switch {
	case r.until >= r.time && (hasKey || outer):
		o.sides[port].keep(o.sides[port].clone(r), o.key, hasKey)
	case outer && !r.matched:
		return o.miss(r, r.time, emit)
	}
	return nil
}

// read sets o.now and o.key to what they are of a row. It reports whether no
// key is NULL.
func (o *joiner) read(port int, row *saql.Row) (hasKey bool, err error) {
	r := &o.now[port]
	r.time, r.key, r.matched, r.until = row.Time, row.Key, false, 0
	for i, p := range o.places[port] {
		r.values[i] = p.from.value(row)
	}
	keys := o.on.left
	if port == 1 {
		keys = o.on.right
		r.until = o.on.bounds.lastLeft(row.Time)
	} else {
		for i, at := range o.times {
			v, _ := at(row)
			r.times[i] = never
			if !v.IsNull() {
				r.times[i] = v.Datetime()
			}
		}
		r.until = o.on.bounds.lastRight(r.times)
	}
	o.key, hasKey, err = appendJoinKeys(o.key[:0], keys, row)
	return hasKey, err
}

// appendJoinKeys appends the keys of a row and reports whether none is NULL.
func appendJoinKeys(b []byte, keys []evaluator, row *saql.Row) (key []byte, ok bool, err error) {
	ok = true
	for _, key := range keys {
		v, err := key(row)
		if err != nil {
			return b, false, err
		}
		var known bool
		b, known = saql.AppendJoinKey(b, v)
		ok = ok && known
	}
	return b, ok, nil
}

// match gives the pairs of a row with those that wait on the other side.
func (o *joiner) match(port int, r *joinRow, emit Emit) error {
	group := o.sides[1-port].groups[string(o.key)]
	if group == nil {
		return nil
	}
	for other := group.oldest; other != nil; other = other.newer {
		left, right := r, other
		if port == 1 {
			left, right = other, r
		}
		if !o.on.bounds.fits(left.times, right.time) {
			continue
		}
		o.put(left, right)
		o.row.Time, o.row.Key = r.time, r.key
		ok, err := o.holds()
		if err != nil {
			if err := failed(o.fail, err, r.key); err != nil {
				return err
			}
			continue
		}
		if !ok {
			continue
		}
		left.matched = true
		if err := emit(&o.row); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether the rest of ON is true of the joined row.
func (o *joiner) holds() (bool, error) {
	if o.on.rest == nil {
		return true, nil
	}
	return selected(o.on.rest, &o.row)
}

// put makes the joined row; right may be nil.
func (o *joiner) put(left, right *joinRow) {
	for i, at := range left.times {
		o.row.Values[i] = saql.Null
		if at != never {
			o.row.Values[i] = saql.Datetime(at)
		}
	}
	for i, p := range o.places[0] {
		o.row.Values[p.slot] = left.values[i]
	}
	if right == nil {
		o.row.Values[len(left.times)] = saql.Null
		for _, p := range o.places[1] {
			o.row.Values[p.slot] = saql.Null
		}
		return
	}
	o.row.Values[len(left.times)] = saql.Datetime(right.time)
	for i, p := range o.places[1] {
		o.row.Values[p.slot] = right.values[i]
	}
}

// miss gives a left row that has no match.
func (o *joiner) miss(left *joinRow, at saql.Ticks, emit Emit) error {
	o.put(left, nil)
	o.row.Time, o.row.Key = at, left.key
	return emit(&o.row)
}

func (o *joiner) Advance(watermark saql.Ticks, emit Emit) error { return o.expire(watermark, emit) }

// Next is when a left row may turn out to have no match.
func (o *joiner) Next() saql.Ticks {
	if waiting := o.sides[0].waiting; o.outer && len(waiting) > 0 {
		return waiting[0].until
	}
	return never
}

// expire forgets the rows whose matches would have come by a time.
func (o *joiner) expire(by saql.Ticks, emit Emit) error {
	for right := &o.sides[1]; len(right.waiting) > 0 && right.waiting[0].until <= by; {
		right.free = append(right.free, right.forget())
	}
	for left := &o.sides[0]; len(left.waiting) > 0 && left.waiting[0].until <= by; {
		r := left.forget()
		left.free = append(left.free, r)
		if o.outer && !r.matched {
			if err := o.miss(r, r.until, emit); err != nil {
				return err
			}
		}
	}
	return nil
}

// Snapshot appends the rows of the left side, then those of the right one.
func (o *joiner) Snapshot(b []byte) []byte {
	for port := range o.sides {
		b = o.sides[port].append(b)
	}
	return b
}

func (o *joiner) Restore(state []byte) error {
	r := reader{b: state}
	for port := range o.sides {
		side := joinSide{groups: make(map[string]*joinGroup)}
		for range r.count() {
			row, key, hasKey := o.readRow(&r, port)
			side.keep(row, key, hasKey)
		}
		o.sides[port] = side
	}
	return r.end()
}

// readRow reads what joinRow.append appended.
func (o *joiner) readRow(r *reader, port int) (row *joinRow, key []byte, hasKey bool) {
	hasKey = r.bool()
	key = []byte(r.text())
	row = &joinRow{time: r.ticks(), key: r.key(), matched: r.bool(), values: make([]saql.Value, len(o.places[port]))}
	if port == 0 {
		row.times = make([]saql.Ticks, len(o.times))
		for i := range row.times {
			row.times[i] = r.ticks()
		}
		row.until = o.on.bounds.lastRight(row.times)
	} else {
		row.until = o.on.bounds.lastLeft(row.time)
	}
	r.values(row.values)
	return row, key, hasKey
}

func (r *joinRow) append(b []byte) []byte {
	b = appendBool(b, r.group != nil)
	key := ""
	if r.group != nil {
		key = r.group.key
	}
	b = appendText(b, key)
	b = binary.AppendVarint(b, int64(r.time))
	b = appendKey(b, r.key)
	b = appendBool(b, r.matched)
	for _, at := range r.times {
		b = binary.AppendVarint(b, int64(at))
	}
	return appendValues(b, r.values)
}

// clone returns a copy that may be kept.
func (s *joinSide) clone(r *joinRow) *joinRow {
	kept := &joinRow{}
	if n := len(s.free); n > 0 {
		kept, s.free = s.free[n-1], s.free[:n-1]
	}
	times, values := append(kept.times[:0], r.times...), kept.values[:0]
	for _, v := range r.values {
		values = append(values, v.Clone())
	}
	*kept = *r
	kept.times, kept.values = times, values
	return kept
}

// append appends the number of rows, then these in the order in which they came.
func (s *joinSide) append(b []byte) []byte {
	rows := slices.Clone(s.waiting)
	slices.SortFunc(rows, func(x, y *joinRow) int { return int(int64(x.number - y.number)) })
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for _, r := range rows {
		b = r.append(b)
	}
	return b
}

// keep adds a row; hasKey: it may have matches.
func (s *joinSide) keep(r *joinRow, key []byte, hasKey bool) {
	r.number = s.count
	s.count++
	s.waiting.push(r)
	if !hasKey {
		return
	}
	group := s.groups[string(key)]
	if group == nil {
		group = &joinGroup{key: string(key)}
		s.groups[group.key] = group
	}
	r.group, r.older = group, group.newest
	if r.older == nil {
		group.oldest = r
	} else {
		r.older.newer = r
	}
	group.newest = r
}

// forget removes and returns the row that waits the shortest.
func (s *joinSide) forget() *joinRow {
	r := s.waiting.pop()
	group := r.group
	if group == nil {
		return r
	}
	if r.older == nil {
		group.oldest = r.newer
	} else {
		r.older.newer = r.newer
	}
	if r.newer == nil {
		group.newest = r.older
	} else {
		r.newer.older = r.older
	}
	if group.oldest == nil {
		delete(s.groups, group.key)
	}
	return r
}

// A joinHeap is a heap of rows: the first waits the shortest, and came first of
// those that wait as long.
type joinHeap []*joinRow

func (h joinHeap) less(i, j int) bool {
	if h[i].until != h[j].until {
		return h[i].until < h[j].until
	}
	return h[i].number < h[j].number
}

func (h *joinHeap) push(r *joinRow) {
	*h = append(*h, r)
	rows := *h
	for i := len(rows) - 1; i > 0; {
		parent := (i - 1) / 2
		if !rows.less(i, parent) {
			break
		}
		rows[i], rows[parent] = rows[parent], rows[i]
		i = parent
	}
}

func (h *joinHeap) pop() *joinRow {
	rows := *h
	first, last := rows[0], len(rows)-1
	rows[0], rows[last] = rows[last], nil
	rows = rows[:last]
	*h = rows
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && rows.less(child+1, child) {
			child++
		}
		if !rows.less(child, i) {
			return first
		}
		rows[i], rows[child] = rows[child], rows[i]
		i = child
	}
}
